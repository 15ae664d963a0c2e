//! What the client of a perform got.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::Value;
use tests::harness::{
    lambda_runtime_api::{Failure, HttpAnswer},
    mp3,
};

/// An answer, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Audio that plays.
    Audio {
        /// The whole answer.
        body: Bytes,
        /// The characters that it says it cost.
        cost: i64,
    },
    /// A problem from the contract.
    Problem(u16, String),
    /// A sweep's own account of itself, or its failure.
    Sweep(String),
    /// The platform's error: the process ended.
    Killed,
    /// What no client should ever see.
    Violation(String),
}

/// What a perform may answer when something beside it goes wrong.
const DOCUMENTED: [(u16, &str); 10] = [
    (401, "invalid_token"),
    (409, "voice_required"),
    (409, "perform_in_progress"),
    (502, "clone_failed"),
    (502, "synthesis_failed"),
    (503, "clone_slots_busy"),
    (503, "clone_budget_exhausted"),
    (503, "provider_unavailable"),
    (503, "service_unavailable"),
    (504, "deadline_exceeded"),
];

impl Answer {
    /// Reads what a program answered.
    pub fn read(answer: Result<HttpAnswer, Failure>) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(Failure::Exited(_)) => return Self::Killed,
            Err(failure) => return Self::Violation(failure.to_string()),
        };
        let Ok(json) = answer.json() else { return Self::Violation(format!("{}, not JSON", answer.status)) };
        let status = answer.status.as_u16();
        if status == 200 {
            return match (plays(&json), json["charsUsedEffective"].as_i64()) {
                (true, Some(cost)) => Self::Audio { body: answer.body, cost },
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

    /// Reads what a sweep answered: it may fail as long as it says so in time.
    pub fn of_sweep(answer: Result<Value, Failure>) -> Self {
        match answer {
            Ok(_) => Self::Sweep(String::from("swept")),
            Err(Failure::Function { .. }) => Self::Sweep(String::from("failed")),
            Err(Failure::Exited(_)) => Self::Killed,
            Err(failure) => Self::Violation(failure.to_string()),
        }
    }

    /// What it cost; nothing without audio.
    pub fn cost(&self) -> i64 {
        if let Self::Audio { cost, .. } = self { *cost } else { 0 }
    }

    /// Whether there is audio.
    pub fn is_audio(&self) -> bool {
        matches!(self, Self::Audio { .. })
    }
}

/// Whether the audio plays: of several takes that of each one that did not fail, and of one at least.
fn plays(answer: &Value) -> bool {
    let Some(takes) = answer["takes"].as_array() else {
        let audio = answer["audio_base64"].as_str().and_then(|audio| STANDARD.decode(audio).ok());
        return audio.as_deref().and_then(mp3::listen).is_some_and(|heard| heard.seconds > 1.0);
    };
    let mut heard = takes.iter().filter(|take| take["status"] == "ok").peekable();
    heard.peek().is_some() && heard.all(plays)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audio { .. } => f.write_str("200"),
            Self::Problem(status, code) => write!(f, "{status} {code}"),
            Self::Killed => f.write_str("killed"),
            Self::Sweep(what) | Self::Violation(what) => f.write_str(what),
        }
    }
}
