//! The response that a client got, as far as the checks need it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::Value;
use tests::harness::{self, SendError, lambda_runtime_api::Failure, mp3};

/// The response to an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Audio that plays.
    Audio {
        body: Bytes,
        /// In characters, as the response reports it.
        cost: i64,
    },
    /// An error of the contract: status and code.
    Problem(u16, String),
    /// A sweep succeeded or failed.
    Sweep(String),
    /// The process ended.
    Killed,
    /// A response that is not in the contract.
    Violation(String),
}

/// The errors that a perform may respond with when a dependency fails.
const DOCUMENTED: &[(u16, &str)] = &[
    (401, "invalid_token"),
    (409, "voice_required"),
    (409, "perform_in_progress"),
    (422, "recording_refused"),
    (502, "clone_failed"),
    (502, "synthesis_failed"),
    (503, "clone_slots_busy"),
    (503, "clone_budget_exhausted"),
    (503, "provider_credits_exhausted"),
    (503, "provider_unavailable"),
    (503, "service_unavailable"),
    (504, "deadline_exceeded"),
];

impl Response {
    pub fn read(response: Result<harness::Response, SendError>) -> Self {
        let response = match response {
            Ok(response) => response,
            Err(SendError::Function(Failure::Exited(_))) => return Self::Killed,
            Err(failure) => return Self::Violation(failure.to_string()),
        };
        let json = response.json_or_null();
        let status = response.status.as_u16();
        if status == 200 {
            return match (plays(&json), json["charsUsedEffective"].as_i64()) {
                (true, Some(cost)) => Self::Audio { body: response.body, cost },
                _ => Self::Violation(String::from("200 without audio that plays")),
            };
        }
        let code = json["code"].as_str().unwrap_or_default();
        if DOCUMENTED.contains(&(status, code)) {
            Self::Problem(status, code.to_owned())
        } else {
            Self::Violation(format!("{status} {code}"))
        }
    }

    /// A sweep may fail as long as it reports that in time.
    pub fn read_sweep(response: Result<Value, Failure>) -> Self {
        match response {
            Ok(_) => Self::Sweep(String::from("swept")),
            Err(Failure::Function { .. }) => Self::Sweep(String::from("failed")),
            Err(Failure::Exited(_)) => Self::Killed,
            Err(failure) => Self::Violation(failure.to_string()),
        }
    }

    /// In characters; 0 without audio.
    pub fn cost(&self) -> i64 {
        if let Self::Audio { cost, .. } = self { *cost } else { 0 }
    }

    pub fn is_audio(&self) -> bool {
        matches!(self, Self::Audio { .. })
    }
}

/// Whether the audio plays: that of every take that did not fail, and of at least one.
fn plays(response: &Value) -> bool {
    let Some(takes) = response["takes"].as_array() else {
        let audio = response["audio_base64"].as_str().and_then(|audio| STANDARD.decode(audio).ok());
        return audio.as_deref().and_then(mp3::listen).is_some_and(|heard| heard.seconds > 1.0);
    };
    let mut heard = takes.iter().filter(|take| take["status"] == "ok").peekable();
    heard.peek().is_some() && heard.all(plays)
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audio { .. } => f.write_str("200"),
            Self::Problem(status, code) => write!(f, "{status} {code}"),
            Self::Killed => f.write_str("killed"),
            Self::Sweep(what) | Self::Violation(what) => f.write_str(what),
        }
    }
}
