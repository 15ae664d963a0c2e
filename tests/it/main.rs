//! The integration tests: the whole backend at its HTTP boundary, on real wires.
//!
//! One binary, because linking is slow; one file per subject; each test's name is the sentence that it proves.

mod access;
mod accounts;
mod activation;
mod alarms;
mod ambience;
mod bad_input;
mod clock_skew;
mod clone_creation;
mod clone_deletion;
mod closed_routes;
mod concurrency;
mod configuration;
mod events;
mod guessing;
mod invariants;
mod main_job;
mod models;
mod operating;
mod outgoing;
mod passwords;
mod performing;
mod policies;
mod quota;
mod races;
mod recordings;
mod repeats;
mod round_trips;
mod routes;
mod secrets;
mod service;
mod sessions;
mod settings;
mod shipped;
mod storage_failures;
mod stored;
mod strangers;
mod sweeping;
mod synthesis;
mod takes;
mod template;
mod thoughts;
mod tokens;
mod words;
mod world;
