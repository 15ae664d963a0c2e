//! The integration tests: the whole backend at its HTTP boundary, on real wires.
//!
//! One binary, because linking is slow; one file per subject; each test's name is the sentence that it proves.

mod accounts;
mod guessing;
mod main_job;
mod races;
mod routes;
mod secrets;
mod stored;
mod strangers;
mod tokens;
mod world;
