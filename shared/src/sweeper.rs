//! Cleanup after performs that died: run by the scheduled sweep, and by a perform that an orphan blocks.
//!
//! First, what the database knows: for every slot whose lease expired and whose voice is recorded, delete the voice and
//! release the slot. Then, what only the provider knows: list its voices of this stage, delete those of this deployment
//! that belong to no running perform, and release the other expired slots. Each time, the users of expired leases without
//! a slot are released too. Safe to run repeatedly, concurrently with itself and with performs.
//!
//! The order is what makes the second part safe beside performs: voices are listed BEFORE the slots are read, and a
//! perform claims its slot before it creates its voice. So a listed voice without a held slot belongs to a perform that
//! has ended.

use std::{collections::HashSet, time::Duration};

use mongodb::bson::oid::ObjectId;
use serde::Serialize;

use crate::{
    clone_slots::{CloneSlots, HeldSlot, PendingHistory, SlotsByState},
    deadline::Deadline,
    elevenlabs::{ElevenLabs, ElevenLabsError, ListedVoice},
    error::Error,
    users::Users,
    voice_name::{VoiceName, VoiceNaming},
};

/// One deletion.
const DELETION_TIMEOUT: Duration = Duration::from_secs(10);
/// Deletions from the provider's history by one sweep; the next one goes on.
const MAX_HISTORY: usize = 100;

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
    /// Voices of this stage's name at the provider that are not this deployment's; never deleted.
    pub foreign_skipped: u64,
    /// Voices of running performs; not deleted.
    pub live_skipped: u64,
    /// Voices that could not be deleted this time; the next sweep tries again.
    pub failed: u64,
    /// Slots held after the sweep.
    pub slots_held: u64,
    /// Whether the provider's voices could not be listed (all of them): then only what the database knows is cleaned up.
    pub list_failed: bool,
}

/// What a sweep would do.
#[derive(Debug, Default)]
pub struct SweepPlan {
    /// Voice ids, each with the lease that it was created under.
    pub to_delete: HashSet<(String, ObjectId)>,
    /// Voices of this stage's name at the provider that are not this deployment's.
    pub foreign: Vec<ListedVoice>,
    /// Number of voices of running performs.
    pub live_voices: u64,
    pub held: SlotsByState,
    /// Why the provider's list is not whole.
    pub list_error: Option<ElevenLabsError>,
}

impl SweepPlan {
    /// The plan, or an error if the provider's list is not whole.
    pub fn into_whole(mut self) -> Result<Self, Error> {
        self.list_error.take().map_or(Ok(self), |error| Err(Error::ProviderUnavailable(error)))
    }
}

impl Sweeper {
    /// Finds what there is to sweep, and changes nothing.
    pub async fn plan(&self, deadline: Deadline) -> Result<SweepPlan, Error> {
        let expired_leases = self.users.expired_leases().await?;
        self.plan_with(&expired_leases, deadline).await
    }

    /// `expired_leases` are those of users, read before any of them was released.
    async fn plan_with(&self, expired_leases: &[ObjectId], deadline: Deadline) -> Result<SweepPlan, Error> {
        let mut voices = Vec::new();
        let listed = self.elevenlabs.list_cloned_voices(&self.names.prefix(), deadline, &mut voices).await;
        let held = self.slots.list().await?;

        let mut plan = SweepPlan { list_error: listed.err(), ..SweepPlan::default() };
        let live: HashSet<ObjectId> = held.live.iter().map(|slot| slot.lease_id).collect();
        // A name without a deployment id is this deployment's if the database knows its lease.
        let slots = held.live.iter().chain(&held.expired).map(|slot| slot.lease_id);
        let known: HashSet<ObjectId> = slots.chain(expired_leases.iter().copied()).collect();
        for voice in voices {
            match self.names.parse(&voice.name) {
                Some(VoiceName { deployment: Some(deployment), lease_id })
                    if held.deployment.as_ref() == Some(&deployment) =>
                {
                    plan.add(voice, lease_id, &live);
                }
                Some(VoiceName { deployment: None, lease_id }) if known.contains(&lease_id) => {
                    plan.add(voice, lease_id, &live);
                }
                _ => plan.foreign.push(voice),
            }
        }
        // Voices that a perform recorded but the list does not show (yet).
        plan.to_delete.extend(held.expired.iter().filter_map(recorded));
        plan.held = held;
        Ok(plan)
    }

    /// One sweep. Fails only if the database does.
    pub async fn sweep(&self, deadline: Deadline) -> Result<SweepReport, Error> {
        let mut report = SweepReport::default();
        let mut undeleted = HashSet::new();

        let expired_leases = self.users.expired_leases().await?;
        let held = self.slots.list().await?;
        let on_record: Vec<_> = held.expired.iter().filter_map(recorded).collect();
        if !on_record.is_empty() {
            self.delete(on_record, deadline, &mut report, &mut undeleted).await;
        }
        self.release(&held, |slot| slot.voice_id.is_some(), &undeleted, &mut report).await?;

        let SweepPlan { to_delete, foreign, live_voices, held, list_error } =
            self.plan_with(&expired_leases, deadline).await?;
        report.foreign_skipped = foreign.len() as u64;
        report.live_skipped = live_voices;
        if let Some(error) = &list_error {
            tracing::warn!(%error, "failed to list the voices; what no record names stays for the next sweep");
            report.list_failed = true;
        }
        self.delete(to_delete, deadline, &mut report, &mut undeleted).await;
        // Without the whole list it is unknown whether a perform that recorded no voice left one.
        let is_clear = |slot: &HeldSlot| list_error.is_none() || slot.voice_id.is_some();
        self.release(&held, is_clear, &undeleted, &mut report).await?;

        tracing::info!(
            swept = report.swept,
            released = report.released,
            foreign_skipped = report.foreign_skipped,
            live_skipped = report.live_skipped,
            failed = report.failed,
            list_failed = report.list_failed,
            "sweep finished"
        );
        Ok(report)
    }

    /// Deletes voices, but not those of leases in `undeleted`: for them it failed before.
    async fn delete(
        &self,
        voices: impl IntoIterator<Item = (String, ObjectId)>,
        deadline: Deadline,
        report: &mut SweepReport,
        undeleted: &mut HashSet<ObjectId>,
    ) {
        let failed_before = undeleted.clone();
        for (voice_id, lease) in voices {
            if failed_before.contains(&lease) {
                continue;
            }
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
    }

    /// Releases the expired slots that are clear, and the users of all expired leases that hold no slot.
    async fn release(
        &self,
        held: &SlotsByState,
        is_clear: impl Fn(&HeldSlot) -> bool,
        undeleted: &HashSet<ObjectId>,
        report: &mut SweepReport,
    ) -> Result<(), Error> {
        let (clear, kept): (Vec<&HeldSlot>, Vec<&HeldSlot>) =
            held.expired.iter().partition(|slot| is_clear(slot) && !undeleted.contains(&slot.lease_id));
        for slot in clear {
            report.released += u64::from(self.slots.free_lease(slot.lease_id).await?);
        }
        let still_held = kept.into_iter().chain(&held.live).map(|slot| slot.lease_id);
        let still_held: HashSet<ObjectId> = still_held.chain(undeleted.iter().copied()).collect();
        report.slots_held = still_held.len() as u64;
        // A user whose slot is still held may still have a clone.
        let still_held: Vec<ObjectId> = still_held.into_iter().collect();
        report.released += self.users.release_expired_leases(&still_held).await?;
        Ok(())
    }

    /// Deletes from the provider's history what performs could not.
    pub async fn sweep_history(&self, deadline: Deadline) -> Result<(), Error> {
        let pending = self.slots.list().await?.history_pending;
        let mut deleted = Vec::new();
        for PendingHistory { id } in pending.into_iter().take(MAX_HISTORY) {
            match self.elevenlabs.delete_history_item(&id, deadline.capped_at(DELETION_TIMEOUT)).await {
                Ok(_) => deleted.push(id),
                Err(error) => {
                    tracing::warn!(%error, history_id = id, "failed to delete from the provider's history");
                    // A key without the scope may not delete the others either.
                    if matches!(&error, ElevenLabsError::Refused(refusal) if [401, 403].contains(&refusal.status))
                    {
                        break;
                    }
                }
            }
        }
        self.slots.forget_history(&deleted).await
    }
}

impl SweepPlan {
    /// Adds a voice of this deployment.
    fn add(&mut self, voice: ListedVoice, lease_id: ObjectId, live: &HashSet<ObjectId>) {
        if live.contains(&lease_id) {
            self.live_voices += 1;
        } else {
            self.to_delete.insert((voice.voice_id, lease_id));
        }
    }
}

/// The voice that a slot's perform recorded, and its lease.
fn recorded(slot: &HeldSlot) -> Option<(String, ObjectId)> {
    slot.voice_id.clone().map(|voice_id| (voice_id, slot.lease_id))
}
