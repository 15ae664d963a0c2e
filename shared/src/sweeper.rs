//! Cleanup after performs that died: run by the scheduled sweep, and by a perform that an orphan blocks.
//!
//! For every slot whose lease expired, and for every voice at the provider with a name of this stage and no held
//! slot: delete the voice, then release its slot and its user. Safe to run repeatedly, concurrently with itself and with
//! performs.
//!
//! The order is what makes it safe beside performs: voices are listed BEFORE the slots are read, and a perform claims
//! its slot before it creates its voice. So a listed voice without a held slot belongs to a perform that has ended.

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

/// Listing all voices.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);
/// One deletion of a voice.
const DELETION_TIMEOUT: Duration = Duration::from_secs(10);

/// Cheap to clone.
#[derive(Clone)]
pub struct Sweeper {
    pub elevenlabs: ElevenLabs,
    pub slots: CloneSlots,
    pub users: Users,
    pub names: VoiceNaming,
}

/// What a sweep did: the response of the sweep function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Voices deleted at the provider.
    pub swept: u64,
    /// Slots and user leases released.
    pub released: u64,
    /// Voices at the provider that are not this stage's; never deleted.
    pub foreign_skipped: u64,
    /// Voices of running performs; not deleted.
    pub live_skipped: u64,
    /// Voices that could not be deleted this time; the next sweep tries again.
    pub failed: u64,
    /// Slots held after the sweep.
    pub slots_held: u64,
}

/// What a sweep would do.
#[derive(Debug, Default)]
pub struct SweepPlan {
    /// Voice ids, each with the lease that it was created under.
    pub to_delete: HashSet<(String, ObjectId)>,
    /// Voices at the provider that are not this stage's.
    pub foreign: Vec<ListedVoice>,
    /// Number of voices of running performs.
    pub live_voices: u64,
    pub held: SlotsByState,
}

impl Sweeper {
    /// Finds what there is to sweep, and changes nothing.
    pub async fn plan(&self, deadline: Deadline) -> Result<SweepPlan, Error> {
        let voices = self.elevenlabs.cloned_voices("", deadline.capped_at(LIST_TIMEOUT)).await;
        let voices = voices.map_err(Error::ProviderUnavailable)?;
        let mut plan = SweepPlan { held: self.slots.list().await?, ..SweepPlan::default() };
        let live: HashSet<ObjectId> = plan.held.live.iter().map(|slot| slot.lease_id).collect();
        for voice in voices {
            match self.names.lease(&voice.name) {
                None => plan.foreign.push(voice),
                Some(lease) if live.contains(&lease) => plan.live_voices += 1,
                Some(lease) => _ = plan.to_delete.insert((voice.voice_id, lease)),
            }
        }
        // Voices that a perform recorded but the list does not show (yet).
        for slot in &plan.held.expired {
            if let Some(voice_id) = &slot.voice_id {
                plan.to_delete.insert((voice_id.clone(), slot.lease_id));
            }
        }
        Ok(plan)
    }

    /// One sweep. Fails only if the provider's list or the database cannot be read.
    pub async fn sweep(&self, deadline: Deadline) -> Result<SweepReport, Error> {
        let SweepPlan { to_delete, foreign, live_voices, held } = self.plan(deadline).await?;
        let mut report = SweepReport {
            foreign_skipped: foreign.len() as u64,
            live_skipped: live_voices,
            ..SweepReport::default()
        };
        let live: HashSet<ObjectId> = held.live.iter().map(|slot| slot.lease_id).collect();

        let mut undeleted: HashSet<ObjectId> = HashSet::new();
        for (voice_id, lease) in to_delete {
            match self.elevenlabs.delete_voice(&voice_id, deadline.capped_at(DELETION_TIMEOUT)).await {
                // `false`: its perform deleted it, and died before it could record that.
                Ok(existed) => report.swept += u64::from(existed),
                Err(error) => {
                    tracing::warn!(%error, voice_id, lease_id = %lease, "failed to delete an orphaned voice");
                    undeleted.insert(lease);
                    report.failed += 1;
                }
            }
        }

        for slot in held.expired.iter().filter(|slot| !undeleted.contains(&slot.lease_id)) {
            report.released += u64::from(self.slots.free_lease(slot.lease_id).await?);
        }
        report.slots_held = (live.len() + undeleted.len()) as u64;
        // A user whose slot is still held may still have a clone.
        let still_held: Vec<ObjectId> = undeleted.into_iter().chain(live).collect();
        report.released += self.users.release_expired_leases(&still_held).await?;
        tracing::info!(
            swept = report.swept,
            released = report.released,
            foreign_skipped = report.foreign_skipped,
            live_skipped = report.live_skipped,
            failed = report.failed,
            "sweep finished"
        );
        Ok(report)
    }
}
