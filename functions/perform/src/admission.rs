//! The two things a perform must have before it may clone: its user's lease and one of the account's slots. Both are
//! waited for within bounds; where what holds them is a perform that died, it is swept first.

use std::time::{Duration, Instant};

use mongodb::bson::oid::ObjectId;
use shared::{
    clone_slots::Slot,
    deadline::Deadline,
    error::Error,
    quota,
    session::Caller,
    users::{LeaseError, Replay, Reservation, Settlement, User},
};

use crate::{
    AppState,
    temp_voice_clone::{CloneRecord, MIN_TIME},
};

/// No invocation may outlive its lease.
pub const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// How long a perform waits for another one of the same user.
const LEASE_WAIT: Duration = Duration::from_secs(12);
/// How long a perform waits for a slot.
const SLOT_WAIT: Duration = Duration::from_secs(10);
/// How often it asks again.
const POLL: Duration = Duration::from_millis(250);

/// What asking for the lease gave.
pub enum Taken {
    /// The lease, and the user as it is under it.
    Lease(Box<User>),
    /// This very request was performed before.
    Before(Box<Replay>),
}

/// Takes the user's lease, waiting for another perform of the same user if one runs.
pub async fn take(
    state: &AppState,
    caller: &Caller,
    want: &Reservation,
    deadline: Deadline,
) -> Result<Taken, Error> {
    let sweeper = &state.clones.sweeper;
    let patience = deadline.minus(MIN_TIME).capped_at(LEASE_WAIT);
    let mut swept = false;
    loop {
        let taken = match sweeper.users.take_lease(caller, want).await {
            Ok(taken) => taken,
            Err(error) => {
                // If it was taken and only the answer was lost, nobody else would let go of it.
                let nothing = Settlement { characters: 0, clone_deleted: true, replay: None };
                let _ = sweeper.users.settle(caller.user_id, want.lease_id, &nothing).await;
                return Err(error);
            }
        };
        match taken {
            Ok(user) => return Ok(Taken::Lease(Box::new(user))),
            Err(LeaseError::Done(replay)) => return Ok(Taken::Before(replay)),
            Err(LeaseError::KeyReused) => return Err(Error::IdempotencyConflict),
            Err(LeaseError::NoRecording) => return Err(Error::VoiceRequired),
            Err(LeaseError::QuotaExceeded { remaining }) => {
                let resets_in = quota::resets_in(&state.clones.clock);
                return Err(Error::QuotaExceeded { remaining, needed: want.characters, resets_in });
            }
            Err(LeaseError::Expired) if !swept => {
                swept = true;
                let _ = sweeper.sweep(patience).await.inspect_err(Error::log);
            }
            Err(_) if patience.is_expired() => return Err(Error::PerformInProgress),
            Err(LeaseError::Held | LeaseError::Expired) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Claims a slot, waiting until one is free.
pub async fn claim_slot(
    state: &AppState,
    user_id: ObjectId,
    lease_id: ObjectId,
    deadline: Deadline,
    record: &mut CloneRecord,
) -> Result<Slot, Error> {
    let asked = Instant::now();
    let sweeper = &state.clones.sweeper;
    let patience = deadline.minus(MIN_TIME).capped_at(SLOT_WAIT);
    let ttl = state.settings.timeout + LEASE_MARGIN;
    let mut swept = false;
    loop {
        let claimed = match sweeper.slots.claim(lease_id, user_id, ttl).await {
            Ok(claimed) => claimed,
            Err(error) => {
                // The same here.
                let _ = sweeper.slots.free_lease(lease_id).await;
                return Err(error);
            }
        };
        if let Some((slot, held)) = claimed {
            record.slots_held = Some(held);
            record.slot_wait = Some(asked.elapsed());
            return Ok(slot);
        }
        if patience.is_expired() {
            return Err(Error::CloneSlotsBusy);
        }
        if !swept && !sweeper.slots.held().await?.expired.is_empty() {
            swept = true;
            let _ = sweeper.sweep(patience).await.inspect_err(Error::log);
        } else {
            tokio::time::sleep(POLL).await;
        }
    }
}
