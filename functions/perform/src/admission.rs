//! What a perform must hold before it may clone: the user's lease and one of the account's slots.
//!
//! Both are waited for within bounds. If a perform that died holds them, it is swept first.

use std::time::Instant;

use mongodb::bson::oid::ObjectId;
use shared::{
    clone_slots::{Claim, Slot},
    deadline::Deadline,
    error::Error,
    quota,
    session::Caller,
    users::{LeaseError, Replay, Reservation, Settlement, User},
};

use crate::{
    budget::{
        CLEANUP_RESERVE, LEASE_WAIT, MIN_CLONE_TIME, POLL_INTERVAL, SAME_REQUEST_WAIT, SLOT_WAIT,
        SWEEP_INTERVAL, USUAL_PERFORM, lease_ttl,
    },
    metrics::PerformMetrics,
    state::AppState,
};

pub enum LeaseOutcome {
    /// The user, as stored under the lease.
    Acquired(Box<User>),
    /// This request was performed before.
    AlreadyDone(Box<Replay>),
}

/// Acquires the user's lease; waits while another perform of the user holds it.
pub async fn acquire_lease(
    state: &AppState,
    caller: &Caller,
    reservation: &Reservation,
    deadline: Deadline,
) -> Result<LeaseOutcome, Error> {
    let wait = deadline.minus(MIN_CLONE_TIME).capped_at(LEASE_WAIT);
    let wait_for_same = deadline.minus(CLEANUP_RESERVE).capped_at(SAME_REQUEST_WAIT);
    let mut sweeping = Sweeping { state, wait, last: None };
    loop {
        let acquired = acquire_or_release(
            state.users.acquire_lease(caller, reservation),
            state.users.settle(caller.user_id, reservation.lease_id, &Settlement::UNCHARGED),
        );
        match acquired.await? {
            Ok(user) => return Ok(LeaseOutcome::Acquired(Box::new(user))),
            Err(LeaseError::AlreadyDone(replay)) => return Ok(LeaseOutcome::AlreadyDone(replay)),
            Err(LeaseError::KeyReused) => return Err(Error::IdempotencyConflict),
            Err(LeaseError::NoRecording) => return Err(Error::VoiceRequired),
            Err(LeaseError::CloneQuotaExceeded { limit }) => {
                return Err(Error::CloneQuotaExceeded { limit, resets_in: quota::resets_in(&state.clock) });
            }
            Err(LeaseError::QuotaExceeded { remaining }) => {
                let (needed, resets_in) = (reservation.characters, quota::resets_in(&state.clock));
                return Err(Error::QuotaExceeded { remaining, needed, resets_in });
            }
            Err(LeaseError::Expired) if sweeping.sweep_if_due().await => {}
            // The first one's audio will serve this one too, and needs no time for a clone.
            Err(LeaseError::Held { is_same: true, .. }) if !wait_for_same.is_expired() => {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            Err(LeaseError::Held { free_in, .. }) if wait.is_expired() => {
                return Err(Error::PerformInProgress { retry_in: free_in.unwrap_or(USUAL_PERFORM) });
            }
            Err(LeaseError::Expired) if wait.is_expired() => {
                return Err(Error::PerformInProgress { retry_in: USUAL_PERFORM });
            }
            Err(LeaseError::Held { .. } | LeaseError::Expired) => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}

/// The sweeps of a perform that waits for what one that died still holds.
struct Sweeping<'a> {
    state: &'a AppState,
    wait: Deadline,
    last: Option<Instant>,
}

impl Sweeping<'_> {
    /// Sweeps, unless this perform did so just now. Returns whether it did.
    async fn sweep_if_due(&mut self) -> bool {
        if self.wait.is_expired() || self.last.is_some_and(|last| last.elapsed() < SWEEP_INTERVAL) {
            return false;
        }
        let _ = self.state.sweeper.sweep(self.wait).await.inspect_err(Error::log);
        self.last = Some(Instant::now());
        true
    }
}

/// Claims a slot; waits until one is free.
pub async fn claim_slot(
    state: &AppState,
    user_id: ObjectId,
    lease_id: ObjectId,
    deadline: Deadline,
    metrics: &mut PerformMetrics,
) -> Result<Slot, Error> {
    let started = Instant::now();
    let wait = deadline.minus(MIN_CLONE_TIME).capped_at(SLOT_WAIT);
    let mut sweeping = Sweeping { state, wait, last: None };
    loop {
        let claimed = acquire_or_release(
            state.slots.claim(lease_id, user_id, lease_ttl(state.config.timeout)),
            state.slots.free_lease(lease_id),
        );
        match claimed.await? {
            Claim::Granted(slot, held) => {
                metrics.slots_held = Some(held);
                metrics.slot_wait_ms = Some(started.elapsed());
                return Ok(slot);
            }
            Claim::CreditsExhausted { resets_in } => {
                return Err(Error::ProviderCreditsExhausted { resets_in });
            }
            Claim::Queued => {}
        }
        let held = state.slots.list().await?;
        if wait.is_expired() {
            return Err(Error::CloneSlotsBusy { retry_in: held.free_in(USUAL_PERFORM) });
        }
        if held.expired.is_empty() || !sweeping.sweep_if_due().await {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Runs `acquire`, and `release` if it fails: the write may have succeeded even though the reply was lost, and would
/// then hold until it expires.
async fn acquire_or_release<T>(
    acquire: impl Future<Output = Result<T, Error>>,
    release: impl Future<Output = Result<bool, Error>>,
) -> Result<T, Error> {
    let acquired = acquire.await;
    if acquired.is_err() {
        // Best effort: if this fails too, it expires.
        let _ = release.await;
    }
    acquired
}
