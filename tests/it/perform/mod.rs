//! The function `perform`: what is asked for, the voice's clone from creation to deletion, and the audio.

mod ambience;
mod clock_skew;
mod clone_creation;
mod clone_deletion;
mod concurrency;
mod idempotency;
mod invariants;
mod models;
mod requests;
mod storage_failures;
mod synthesis;
mod takes;
