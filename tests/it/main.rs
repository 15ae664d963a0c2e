//! The integration tests: the whole backend at its HTTP boundary, on real wires.
//!
//! One binary, because linking is slow; one file per subject; each test's name is the sentence that it proves.

mod access;
mod accounts;
mod activation;
mod bad_input;
mod clone_creation;
mod clone_deletion;
mod configuration;
mod events;
mod main_job;
mod passwords;
mod recordings;
mod repeats;
mod routes;
mod sessions;
mod settings;
mod storage_failures;
mod synthesis;
mod template;
mod world;
