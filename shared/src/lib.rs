//! What the functions of New Visions have in common. Depends on none of them.
//!
//! **Platform.** [`env`] (the only access to configuration) and [`clock`] (the only access to time), [`error`] (every
//! error, its status and its code), [`messages`] (their translations), [`http`] (the middleware around every router),
//! [`accept`] and [`json`] (request headers and bodies), [`client_ip`], [`session`] (who calls), [`password`],
//! [`deadline`], [`telemetry`], [`metrics`], [`security_log`].
//!
//! **Data.** [`mongo`], with one file per collection: [`users`], [`activation_codes`], [`clone_slots`], [`rate_limit`];
//! [`migration`] (documents of the earlier backend); and [`object_store`] for S3.
//!
//! **Providers.** [`elevenlabs`] and [`gemini`], clients on the shared [`http_client`]; [`sweeper`] deletes the voices
//! that interrupted performs left at ElevenLabs.
//!
//! **Domain.** [`audio`] (validates recordings), [`content_filter`] (what may be spoken), [`thought`] (generates the
//! narration), [`speech_model`] (models and what they cost), [`voice_name`], [`quota`], [`settings`]. [`schema`] holds
//! types of the API's description.
//!
//! A request runs route → handler → [`session::Caller`] → a few calls into these modules → response; errors leave by
//! `?`.

pub mod accept;
pub mod activation_codes;
pub mod audio;
pub mod client_ip;
pub mod clock;
pub mod clone_slots;
pub mod content_filter;
pub mod deadline;
pub mod digest;
pub mod elevenlabs;
pub mod env;
pub mod error;
pub mod gemini;
pub mod http;
pub mod http_client;
pub mod json;
pub mod messages;
pub mod metrics;
pub mod migration;
pub mod mongo;
pub mod object_store;
pub mod password;
pub mod quota;
pub mod rate_limit;
pub mod schema;
pub mod security_log;
pub mod session;
pub mod settings;
pub mod speech_model;
pub mod sweeper;
pub mod telemetry;
pub mod thought;
pub mod users;
mod validation;
pub mod voice_name;
