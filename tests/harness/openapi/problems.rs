//! Every problem that the backend can answer, as it answers it, and the answers that routes share.

use std::{collections::BTreeMap, time::Duration};

use axum::response::IntoResponse as _;
use serde_json::{Map, Value, json};
use shared::{
    audio::InvalidRecording,
    elevenlabs::ElevenLabsError,
    error::{Error, FieldError, Problem},
};

/// The problems by their code, and the answers made of them so far.
pub struct Problems {
    known: BTreeMap<String, Value>,
    responses: Map<String, Value>,
}

impl Problems {
    /// All of them, in no answer yet.
    pub fn new() -> Self {
        let known = samples().into_iter().map(rendered).collect();
        Self { known, responses: Map::new() }
    }

    /// The codes of all.
    pub fn codes(&self) -> Vec<String> {
        self.known.keys().cloned().collect()
    }

    /// Each of them, by its code, as an example.
    pub fn examples(&self) -> Map<String, Value> {
        self.known.iter().map(|(code, problem)| (code.clone(), json!({ "value": problem }))).collect()
    }

    /// The answers of the operations so far, by their names.
    pub fn responses(self) -> Map<String, Value> {
        self.responses
    }

    /// The answers, by status, of an operation with these codes.
    pub fn of(&mut self, codes: &[String]) -> Map<String, Value> {
        let mut by_status: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for code in codes {
            let problem = self.known.get(code).unwrap_or_else(|| panic!("there is no problem {code}"));
            let same = by_status.entry(problem["status"].as_u64().unwrap_or_default()).or_default();
            if !same.contains(&code.as_str()) {
                same.push(code);
            }
        }
        let mut answers = Map::new();
        for (status, mut codes) in by_status {
            codes.sort_unstable();
            // Operations with the same problems share the answer.
            let name = codes.join(".");
            if !self.responses.contains_key(&name) {
                let response = self.response(status, &codes);
                self.responses.insert(name.clone(), response);
            }
            let reference = format!("#/components/responses/{name}");
            answers.insert(status.to_string(), json!({ "$ref": reference }));
        }
        answers
    }

    fn response(&self, status: u64, codes: &[&str]) -> Value {
        let mut headers = vec!["X-Request-Id"];
        if [409, 429, 503].contains(&status) {
            headers.push("Retry-After");
        }
        if status == 401 {
            headers.push("WWW-Authenticate");
        }
        let reference = |header: &str| json!({ "$ref": format!("#/components/headers/{header}") });
        let headers: Map<String, Value> =
            headers.into_iter().map(|header| (header.to_owned(), reference(header))).collect();
        let schema = json!({
            "allOf": [
                { "$ref": "#/components/schemas/Problem" },
                {
                    "type": "object",
                    "properties": { "status": { "const": status }, "code": { "enum": codes } },
                    "required": ["status", "code"],
                },
            ],
        });
        let example = |code: &str| json!({ "$ref": format!("#/components/examples/{code}") });
        let examples: Map<String, Value> =
            codes.iter().map(|code| ((*code).to_owned(), example(code))).collect();
        let content = json!({ "schema": schema, "examples": examples });
        let words: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        json!({
            "description": format!("{}: {}", self.known[codes[0]]["title"].as_str().unwrap_or_default(), words.join(", ")),
            "headers": headers,
            "content": { "application/problem+json": content, "application/json": { "schema": schema } },
        })
    }
}

/// A problem with its code, as the backend writes it.
fn rendered(error: Error) -> (String, Value) {
    let code = error.code().to_owned();
    let response = error.into_response();
    let mut problem = response.extensions().get::<Problem>().cloned().expect("every error is a problem");
    problem.request_id = String::from("b7e0c2f4-5d2a-4f7e-9c1b-2a6d8e4f0b13");
    (code, serde_json::to_value(problem).unwrap_or_default())
}

/// One error of each code.
fn samples() -> Vec<Error> {
    let provider = || ElevenLabsError::Unreachable;
    let field =
        |field: &str, message: &str| FieldError { field: field.to_owned(), message: message.to_owned() };
    vec![
        Error::MalformedJson(String::from("it is not JSON at line 1, column 2")),
        Error::UnreadableBody,
        Error::Invalid(vec![field("username", "is missing"), field("email", "must be an email address")]),
        Error::BodyTooLarge,
        Error::UnsupportedMediaType("application/json"),
        Error::NotFound,
        Error::MethodNotAllowed,
        Error::MissingToken,
        Error::InvalidToken,
        Error::InvalidRefreshToken,
        Error::TooManyAttempts { retry_in: Duration::from_mins(5) },
        Error::InvalidCredentials,
        Error::Forbidden,
        Error::InvalidActivationCode,
        Error::ActivationCodeUsed,
        Error::UsernameTaken,
        Error::EmailTaken,
        Error::InvalidRecording(InvalidRecording::Silent),
        Error::VoiceRequired,
        Error::PerformInProgress { retry_in: Duration::ZERO },
        Error::IdempotencyConflict,
        Error::ContentRejected,
        Error::AnswerTooLarge,
        Error::QuotaExceeded { remaining: 12, needed: 90, resets_in: Duration::from_hours(24) },
        Error::RecordingRefused(provider()),
        Error::CloneFailed(provider()),
        Error::SynthesisFailed(provider()),
        Error::CloneSlotsBusy { retry_in: Duration::ZERO },
        Error::CloneQuotaExceeded { limit: 30, resets_in: Duration::ZERO },
        Error::ProviderCreditsExhausted { resets_in: Duration::ZERO },
        Error::DatabaseNotMigrated,
        Error::CloneBudgetExhausted(provider()),
        Error::ProviderUnavailable(provider()),
        Error::DeadlineExceeded,
        Error::Mongo(mongodb::error::Error::custom("a sample")),
        Error::internal("a sample"),
    ]
}
