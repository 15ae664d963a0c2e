//! Everything started together: the stand-ins, the backend's functions, and what plays the platform around them.
//!
//! - `services`: `MongoDB`, S3, `ElevenLabs` and `Gemini`, each a stand-in unless the environment names a real one;
//! - `backend`: the functions' own routers on these services, and their sweep;
//! - `gateway`: the HTTP API in front of them, with its CORS;
//! - `keys`: signing keys; `codes`: activation codes; `mp3`: what came out, decoded;
//! - `openapi`: the description of the API;
//! - `sample_events`: the files of `events/`, made whole;
//! - `bootstraps`: the functions' real programs, built by cargo;
//! - `lambda_runtime_api`: the platform's side of a real bootstrap.

mod backend;
pub mod gateway;
mod keys;
mod lambda_binaries;
pub mod lambda_runtime_api;
pub mod mp3;
pub mod openapi;
pub mod sample_events;
mod services;

pub use backend::Backend;
pub use keys::SigningKey;
pub use lambda_binaries::LambdaBinaries;
pub use services::{Options, Services};
