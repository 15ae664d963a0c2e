//! The integration tests: the whole backend at its HTTP boundary, on real wires.
//!
//! One binary, because linking is slow; a folder per function, and `platform` for what holds for all of them.

mod activation;
mod auth;
mod db_snapshot;
mod ops;
mod perform;
mod platform;
mod sweep;
mod thought;
mod usage;
mod users;
