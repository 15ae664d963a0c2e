//! Everything started together: the fakes, the backend's functions, and what plays the platform around them.
//!
//! - `services`: `MongoDB`, S3, `ElevenLabs` and `Gemini`, each a fake unless the environment names a real one;
//! - `backend`: the functions' own routers on these services, and their sweep;
//! - `gateway`: the HTTP API in front of them, with its CORS;
//! - `page`: the page that `cargo local` serves beside it;
//! - `client`: the client of the API, over HTTP, the routers or the Runtime API;
//! - `test_app`: all of these together, with users, for one test;
//! - `routes`: every route, with who may call it and a sample body;
//! - `keys`: signing keys; `mp3`: decodes the audio of a perform;
//! - `openapi`: the API's description, and whether responses are as it says;
//! - `sample_events`: the files of `events/`, made whole;
//! - `lambda_binaries`: the functions' real programs, built by cargo;
//! - `lambda_runtime_api`: the platform's side of a real program.

mod backend;
mod client;
pub mod gateway;
mod keys;
mod lambda_binaries;
pub mod lambda_runtime_api;
pub mod mp3;
pub mod openapi;
pub mod page;
pub mod routes;
pub mod sample_events;
mod services;
mod test_app;

pub use backend::{Backend, FUNCTIONS, router};
pub use client::{
    PASSWORD, Response, SendError, TestClient, TestRequest, User, base64, registration, routine,
};
pub use keys::SigningKey;
pub use lambda_binaries::LambdaBinaries;
pub use routes::{Auth, Route};
pub use services::{Options, Services};
pub use test_app::{SLOW, Setup, TestApp, WEBM, eventually, send};
