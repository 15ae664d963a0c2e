//! `POST /perform`: speaks a thought in the user's own voice, through a clone that exists only meanwhile.
//!
//! From the handler down; each file uses only files further down:
//! - `perform`: the handler, and the steps of a perform;
//! - `takes`: text, synthesis and ambience of each take;
//! - `temp_voice_clone`: creates, uses and deletes the clone;
//! - `history`: deletes the texts and their audio from the provider's history;
//! - `admission`: the user's lease and a clone slot, both waited for within bounds;
//! - `response`: the response as JSON, as MP3 and as stored for replays;
//! - `metrics`: the log line and the metrics of a perform;
//! - `request`: the request body and its validation;
//! - `idempotency`: the `Idempotency-Key` header;
//! - `ambience`: the fan under the voice;
//! - `mp3_check`: judges the provider's audio;
//! - `state`: what the function uses, and its configuration;
//! - `budget`: how the time is spent.

mod admission;
pub mod ambience;
mod budget;
mod history;
mod idempotency;
mod metrics;
mod mp3_check;
mod perform;
mod request;
mod response;
mod state;
mod takes;
mod temp_voice_clone;

use axum::{Router, routing::post};
use utoipa::OpenApi;

pub use state::AppState;

pub fn router(state: AppState) -> Router {
    Router::new().route("/perform", post(perform::perform)).with_state(state)
}

#[derive(OpenApi)]
#[openapi(paths(perform::perform))]
pub struct Api;
