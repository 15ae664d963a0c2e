//! What the functions of New Visions have in common.
//!
//! The ground floor: [`env`] and [`clock`] (the only ways to configuration and time), [`error`] (everything that
//! can go wrong and how it is answered), [`http`] (the edge around every function's routes), [`json`] (request
//! bodies), [`session`] (who calls), [`password`], [`deadline`], [`telemetry`], [`metrics`].
//!
//! What is kept: [`mongo`], with one file per collection: [`users`], [`activation_codes`], [`clone_slots`],
//! [`rate_limit`]; and [`object_store`] in S3.
//!
//! Who is asked: [`elevenlabs`] and [`gemini`], plain clients on [`http_client`], the one way out; [`sweeper`] deletes
//! what performs left behind there.
//!
//! What is known: [`audio`] (what a recording is), [`content`] (what may be said and how), [`speech_model`] (who says
//! it, and for how much), [`quota`] and [`settings`]. [`schema`] says what some strings look like, in the description
//! of the API.
//!
//! A request runs route → handler → [`session::Caller`] → a few calls into these files → answer; errors leave by
//! `?`. This crate knows no function.

pub mod accept;
pub mod activation_codes;
pub mod audio;
pub mod client_ip;
pub mod clock;
pub mod clone_slots;
pub mod content;
pub mod deadline;
pub mod digest;
pub mod elevenlabs;
pub mod env;
pub mod error;
pub mod gemini;
pub mod http;
pub mod http_client;
pub mod json;
pub mod metrics;
pub mod mongo;
pub mod object_store;
pub mod password;
pub mod quota;
pub mod rate_limit;
pub mod schema;
pub mod session;
pub mod settings;
pub mod speech_model;
pub mod sweeper;
pub mod telemetry;
pub mod users;
pub mod voice_name;
