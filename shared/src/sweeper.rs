//! Cleaning up after performs that died: the sweep's work, which a perform also does when an orphan is in its way.
//!
//! For every slot whose lease ran out, and for every voice at the provider that bears this stage's name and
//! belongs to no held slot: the voice is deleted, then its slot and its user are freed. It may run twice, beside
//! itself and beside performs.
//!
//! The order makes it safe beside running performs. Voices are listed BEFORE the slots are read, and a perform
//! holds its slot before it asks for its voice; so a listed voice whose slot is not held any more belongs to a
//! perform that is over.

use std::{collections::HashSet, time::Duration};

use mongodb::bson::oid::ObjectId;
use serde::Serialize;

use crate::{
    clone_slots::{CloneSlots, SlotsByState},
    deadline::Deadline,
    elevenlabs::{ElevenLabs, ListedVoice},
    error::Error,
    users::Users,
    voice_name::VoiceNaming,
};

/// The list of all voices.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);
/// One deletion.
const DELETION_TIMEOUT: Duration = Duration::from_secs(10);

/// What sweeping touches.
#[derive(Clone)]
pub struct Sweeper {
    /// The provider.
    pub elevenlabs: ElevenLabs,
    /// The slots.
    pub slots: CloneSlots,
    /// The users and their leases.
    pub users: Users,
    /// The names of this deployment's voices.
    pub names: VoiceNaming,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Voices deleted at the provider.
    pub swept: u64,
    /// Slots and user leases freed.
    pub released: u64,
    /// Voices at the provider that are not this stage's; never touched.
    pub foreign_skipped: u64,
    /// Voices of running performs; not touched.
    pub live_skipped: u64,
    /// Voices that could not be deleted this time; the next sweep tries again.
    pub failed: u64,
    /// Slots that are held after the sweep.
    pub slots_held: u64,
}

/// What a sweep has before it.
#[derive(Debug, Default)]
pub struct SweepPlan {
    /// Voices to be deleted, and the leases that they belong to.
    pub to_delete: HashSet<(String, ObjectId)>,
    /// Voices at the provider that are not this stage's.
    pub foreign: Vec<ListedVoice>,
    /// Voices of running performs.
    pub live_voices: u64,
    /// The slots.
    pub held: SlotsByState,
}

impl Sweeper {
    /// Looks what there is to sweep, and changes nothing.
    pub async fn plan(&self, deadline: Deadline) -> Result<SweepPlan, Error> {
        let voices = self.elevenlabs.cloned_voices("", deadline.capped_at(LIST_TIMEOUT)).await;
        let voices = voices.map_err(Error::ProviderUnavailable)?;
        let mut found = SweepPlan { held: self.slots.held().await?, ..SweepPlan::default() };
        let live: HashSet<ObjectId> = found.held.live.iter().map(|slot| slot.lease_id).collect();
        for voice in voices {
            match self.names.lease(&voice.name) {
                None => found.foreign.push(voice),
                Some(lease) if live.contains(&lease) => found.live_voices += 1,
                Some(lease) => _ = found.to_delete.insert((voice.voice_id, lease)),
            }
        }
        // A voice that its perform knew but the list does not show (yet).
        for slot in &found.held.expired {
            if let Some(voice_id) = &slot.voice_id {
                found.to_delete.insert((voice_id.clone(), slot.lease_id));
            }
        }
        Ok(found)
    }

    /// One sweep. Fails only if the provider's list or the database cannot be read.
    pub async fn sweep(&self, deadline: Deadline) -> Result<SweepReport, Error> {
        let SweepPlan { to_delete, foreign, live_voices, held } = self.plan(deadline).await?;
        let mut done = SweepReport {
            foreign_skipped: foreign.len() as u64,
            live_skipped: live_voices,
            ..SweepReport::default()
        };
        let live: HashSet<ObjectId> = held.live.iter().map(|slot| slot.lease_id).collect();

        let mut surviving: HashSet<ObjectId> = HashSet::new();
        for (voice_id, lease) in to_delete {
            match self.elevenlabs.delete_voice(&voice_id, deadline.capped_at(DELETION_TIMEOUT)).await {
                // Already gone: its perform deleted it and died before it could say so.
                Ok(was_there) => done.swept += u64::from(was_there),
                Err(error) => {
                    tracing::warn!(%error, voice_id, lease_id = %lease, "an orphaned voice could not be deleted");
                    surviving.insert(lease);
                    done.failed += 1;
                }
            }
        }

        for slot in held.expired.iter().filter(|slot| !surviving.contains(&slot.lease_id)) {
            done.released += u64::from(self.slots.free_lease(slot.lease_id).await?);
        }
        done.slots_held = (live.len() + surviving.len()) as u64;
        // As long as its slot is held, the user's clone may live.
        let still_held: Vec<ObjectId> = surviving.into_iter().chain(live).collect();
        done.released += self.users.release_expired_leases(&still_held).await?;
        tracing::info!(
            swept = done.swept,
            released = done.released,
            foreign_skipped = done.foreign_skipped,
            live_skipped = done.live_skipped,
            failed = done.failed,
            "swept"
        );
        Ok(done)
    }
}
