//! How the time of a perform is spent: every duration, and what must hold between them.
//!
//! Reserves are counted back from the deadline (`PERFORM_TIMEOUT_SECONDS` after the start, or Lambda's own if that is
//! earlier). Whatever runs left of a mark is stopped there, so the steps right of it always have their time.
//!
//! ```text
//! start                                                                    deadline   lease expires
//!   |                                                                             |        |
//!   |- LEASE_WAIT -|- SLOT_WAIT -|------------- MIN_CLONE_TIME (18 s) ------------|        |
//!   |  another     |  all slots  |                                                |        |
//!   |  perform     |  in use     |          |- SYNTHESIS_ -|- CLEANUP_RESERVE ----|        |
//!   |              |             |          |  RESERVE 4 s |  10 s                |        |
//!   |              |             | create   |              |                      |        |
//!   |              |             | voice    | synthesize   | delete |- DB_WRITE_ -|        |
//!   |              |             |          |              | voice  |  RESERVE 5 s|        |
//!   |              |             |          |              |        |- MIX_ ------|        |
//!   |              |             |          |       mix ambience     |  RESERVE 5 s|        |
//!   |              |             |          |              |        | release     |        |
//!   |              |             |          |              |        | slot, store |        |
//!   |              |             |          |              |        | audio |- SETTLE_RESERVE 3 s
//!   |              |             |          |              |        |       | settle |- RESPONSE_RESERVE 0.5 s
//!   |              |             |          |              |        |       | lease  | respond
//!   |------------------------------ PERFORM_TIMEOUT_SECONDS ----------------------| LEASE_ |
//!   |                               at least MIN_TIMEOUT (20 s)                   | MARGIN |
//! ```

use std::time::Duration;

use shared::clone_slots::QUEUE_TTL;

/// The default of `PERFORM_TIMEOUT_SECONDS`.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
/// The minimum of `PERFORM_TIMEOUT_SECONDS`: [`MIN_CLONE_TIME`], and the steps before it without waiting.
pub const MIN_TIMEOUT: Duration = Duration::from_secs(20);
/// A lease lasts this much longer than the timeout, so that no invocation outlives it.
pub const LEASE_MARGIN: Duration = Duration::from_secs(15);

/// The maximum wait for another perform of the same user.
pub const LEASE_WAIT: Duration = Duration::from_secs(12);
/// The maximum wait for the perform of the same request, whose audio is then returned: the gateway gives up after 30 s.
pub const SAME_REQUEST_WAIT: Duration = Duration::from_secs(25);
/// The maximum wait for a slot.
pub const SLOT_WAIT: Duration = Duration::from_secs(10);
/// The interval between two attempts to create a voice while the account's slots are full.
pub const FULL_ACCOUNT_INTERVAL: Duration = Duration::from_secs(1);
/// The interval between two sweeps by one perform that waits.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(2);
/// How long a perform usually holds a lease or a slot, for `Retry-After`.
pub const USUAL_PERFORM: Duration = Duration::from_secs(4);
/// The interval between two attempts to get the lease or a slot.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// With less time left, no clone is created: it could not be used and deleted.
pub const MIN_CLONE_TIME: Duration = Duration::from_secs(18);
/// Kept free for synthesis while the voice is created.
pub const SYNTHESIS_RESERVE: Duration = Duration::from_secs(4);
/// Kept free for deleting the voice and all that follows while takes are synthesized.
pub const CLEANUP_RESERVE: Duration = Duration::from_secs(10);
/// Kept free for database writes while the voice is deleted.
pub const DB_WRITE_RESERVE: Duration = Duration::from_secs(5);
/// Kept free for all that follows while the ambience is mixed; past it the voice is returned without ambience.
pub const MIX_RESERVE: Duration = Duration::from_secs(5);
/// Kept free for settling the lease while the slot is released and the audio is stored for replays. Both happen beside
/// the deletion.
pub const SETTLE_RESERVE: Duration = Duration::from_secs(3);
/// Kept free for building and sending the response while the lease is settled.
pub const RESPONSE_RESERVE: Duration = Duration::from_millis(500);

/// One attempt to delete or to list voices.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a new voice may be missing in the provider's list. A create that was answered unclearly is decided by a look
/// at the list after this time.
pub const LIST_LAG: Duration = Duration::from_secs(11);
/// Asking when the account's characters reset.
pub const SUBSCRIPTION_TIMEOUT: Duration = Duration::from_secs(2);
/// `Retry-After` if it is unknown when the account's characters reset.
pub const UNKNOWN_RESET: Duration = Duration::from_hours(1);
/// The maximum wait for deletions from the provider's history once the voice is deleted.
pub const HISTORY_GRACE: Duration = Duration::from_millis(250);
/// The maximum time for storing the audio for replays.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// After this, no further attempt to settle is started: the caller is waiting for the audio.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
/// Delays between attempts to clean up: to find or delete a voice, and to settle.
pub const CLEANUP_BACKOFF: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];
/// Delays between attempts to synthesize, while the provider is busy or does not know the new voice yet; the last one is
/// repeated.
pub const SYNTHESIS_BACKOFF: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// After this, no further attempt to synthesize a take is started: the gateway gives up soon.
pub const SYNTHESIS_RETRY_TIME: Duration = Duration::from_secs(20);

/// The lifetime of a lease, and of the slot that is claimed under it.
pub const fn lease_ttl(timeout: Duration) -> Duration {
    timeout.saturating_add(LEASE_MARGIN)
}

/// Whether `whole` has room for `parts`, one after the other.
const fn fits(parts: &[Duration], whole: Duration) -> bool {
    let (mut sum, mut index) = (0, 0);
    while index < parts.len() {
        sum += parts[index].as_millis();
        index += 1;
    }
    sum <= whole.as_millis()
}

// A clone that is begun leaves time to create it, to use it and to clean up; one create takes about 3 s.
const _: () = assert!(fits(&[Duration::from_secs(3), SYNTHESIS_RESERVE, CLEANUP_RESERVE], MIN_CLONE_TIME));
const _: () = assert!(fits(&[MIN_CLONE_TIME], MIN_TIMEOUT));
// By default, whoever waits as long as possible still has time for a clone.
const _: () = assert!(fits(&[LEASE_WAIT, SLOT_WAIT, MIN_CLONE_TIME], DEFAULT_TIMEOUT));
// The reserves are nested: each leaves time for its own step, the deletion's for a full attempt.
const _: () = assert!(fits(&[ATTEMPT_TIMEOUT, DB_WRITE_RESERVE], CLEANUP_RESERVE));
const _: () = assert!(fits(&[SETTLE_RESERVE], DB_WRITE_RESERVE) && fits(&[SETTLE_RESERVE], MIX_RESERVE));
const _: () = assert!(fits(&[RESPONSE_RESERVE], SETTLE_RESERVE));
// A settlement may be late, but not later than the lease.
const _: () = assert!(fits(&[SETTLE_TIMEOUT], LEASE_MARGIN));
// A waiter claims again before it is dropped from the queue, even if one claim is lost.
const _: () = assert!(fits(&[POLL_INTERVAL, POLL_INTERVAL], QUEUE_TTL));
