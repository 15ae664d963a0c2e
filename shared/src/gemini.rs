//! Google Gemini: text for a prompt (<https://ai.google.dev/api/generate-content>).
//!
//! A client and nothing more: what is asked, and what is done when no usable answer comes, is
//! [`crate::content`]'s.

use std::{
    sync::{Arc, Once},
    time::Duration,
};

use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    deadline::Deadline,
    env::{Env, EnvError},
};

/// The model used unless configuration names another.
pub const DEFAULT_MODEL: &str = "gemini-3.5-flash-lite";

/// How long an overloaded server is left alone before it is asked again.
const BREATH: Duration = Duration::from_millis(250);

/// What each kind of harm is blocked from on (<https://ai.google.dev/gemini-api/docs/safety-settings>). Set because
/// newer models block nothing by default, and a show is for everybody. Spiders, blood and the titles of horror films are
/// its daily bread, so danger and harassment are blocked only where they are certain; sex and hatred have no place on
/// the stage. What passes goes through the content filter all the same.
const SAFETY: [(&str, &str); 4] = [
    ("HARM_CATEGORY_DANGEROUS_CONTENT", "BLOCK_ONLY_HIGH"),
    ("HARM_CATEGORY_HARASSMENT", "BLOCK_ONLY_HIGH"),
    ("HARM_CATEGORY_HATE_SPEECH", "BLOCK_MEDIUM_AND_ABOVE"),
    ("HARM_CATEGORY_SEXUALLY_EXPLICIT", "BLOCK_MEDIUM_AND_ABOVE"),
];

/// What the model is asked.
pub struct GenerateRequest {
    /// The system instruction: ours.
    pub instruction: String,
    /// The user's part, as JSON: data.
    pub data: Value,
    /// The shape of the JSON that it answers with.
    pub schema: Value,
}

/// Why there is no text. Its words are for the log and repeat nothing that was sent.
#[derive(Debug, thiserror::Error)]
pub enum GeminiError {
    /// The time was up.
    #[error("Gemini did not answer in time")]
    TimedOut,
    /// It could not be reached, or broke off.
    #[error("Gemini could not be reached")]
    Unreachable,
    /// An error answer.
    #[error("Gemini refused with {http} {status}")]
    Refused {
        /// The HTTP status.
        http: StatusCode,
        /// Google's own word, such as `RESOURCE_EXHAUSTED`.
        status: String,
        /// When to come back, where Google says so.
        retry_in: Option<Duration>,
    },
    /// The safety filter blocked the prompt: `SAFETY`, `PROHIBITED_CONTENT`, …
    #[error("Gemini blocked the prompt ({0})")]
    PromptBlocked(String),
    /// A safety filter cut the answer off.
    #[error("Gemini blocked its answer ({0})")]
    AnswerBlocked(String),
    /// An answer without a whole text, such as when every token was spent on thinking.
    #[error("Gemini gave no whole text ({0})")]
    NoText(String),
}

impl GeminiError {
    /// How long to wait before asking again; `None` if that would not help.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        match self {
            Self::Unreachable | Self::AnswerBlocked(_) => Some(Duration::ZERO),
            Self::Refused { http: StatusCode::TOO_MANY_REQUESTS, retry_in, .. } => *retry_in,
            Self::Refused { http, .. } if http.is_server_error() => Some(BREATH),
            Self::Refused { .. } | Self::TimedOut | Self::PromptBlocked(_) | Self::NoText(_) => None,
        }
    }

    /// What an operator has to do about it, where only an operator can.
    fn remedy(&self) -> Option<&'static str> {
        let Self::Refused { http, .. } = self else { return None };
        match *http {
            StatusCode::NOT_FOUND => Some(
                "GEMINI_MODEL names a model that is not served (any more): set it to one of those listed at \
                 https://ai.google.dev/gemini-api/docs/models",
            ),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Some("GEMINI_API_KEY is missing, unknown or may not use the Gemini API")
            }
            StatusCode::BAD_REQUEST => {
                Some("GEMINI_API_KEY is not valid, or GEMINI_MODEL does not take GEMINI_THINKING_LEVEL")
            }
            _ => None,
        }
    }
}

/// A client. Cloning it is cheap.
#[derive(Clone)]
pub struct Gemini {
    http: Client,
    base_url: String,
    api_key: SecretString,
    model: String,
    thinking_level: String,
    /// What only an operator can mend is said once, not at each request.
    remedy_told: Arc<Once>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    candidates: Vec<Candidate>,
    #[serde(default)]
    prompt_feedback: Option<PromptFeedback>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    content: Content,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<AnswerPart>,
}

#[derive(Deserialize)]
struct AnswerPart {
    #[serde(default)]
    text: String,
    #[serde(default)]
    thought: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    #[serde(default)]
    block_reason: Option<String>,
}

impl Gemini {
    /// Reads `GEMINI_API_KEY`, `GEMINI_BASE_URL` (default: Google), `GEMINI_MODEL` and
    /// `GEMINI_THINKING_LEVEL` (default `minimal`: a short sentence needs no deliberation).
    pub fn from_env(env: &Env, http: Client) -> Result<Self, EnvError> {
        let base_url = env.get("GEMINI_BASE_URL").unwrap_or("https://generativelanguage.googleapis.com");
        Ok(Self {
            http,
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key: env.secret("GEMINI_API_KEY")?,
            model: env.get("GEMINI_MODEL").unwrap_or(DEFAULT_MODEL).to_owned(),
            thinking_level: env.get("GEMINI_THINKING_LEVEL").unwrap_or("minimal").to_owned(),
            remedy_told: Arc::new(Once::new()),
        })
    }

    /// The model's text, which is JSON of the shape that was asked for unless the model fails to keep it.
    pub async fn generate(
        &self,
        question: &GenerateRequest,
        deadline: Deadline,
    ) -> Result<String, GeminiError> {
        let answer = self.ask(question, deadline).await;
        if let Some(remedy) = answer.as_ref().err().and_then(GeminiError::remedy) {
            self.remedy_told.call_once(|| {
                tracing::warn!(
                    model = self.model,
                    remedy,
                    "Gemini refuses every request; templates stand in for it"
                );
            });
        }
        answer
    }

    async fn ask(&self, question: &GenerateRequest, deadline: Deadline) -> Result<String, GeminiError> {
        let time = deadline.remaining();
        if time.is_zero() {
            return Err(GeminiError::TimedOut);
        }
        let safety =
            SAFETY.map(|(category, threshold)| json!({ "category": category, "threshold": threshold }));
        let response = self
            .http
            .post(format!("{}/v1beta/models/{}:generateContent", self.base_url, self.model))
            .header("x-goog-api-key", self.api_key.expose_secret())
            .timeout(time)
            .json(&json!({
                "systemInstruction": { "parts": [{ "text": question.instruction }] },
                "contents": [{ "role": "user", "parts": [{ "text": question.data.to_string() }] }],
                "safetySettings": safety,
                "generationConfig": {
                    "maxOutputTokens": 1024,
                    "responseMimeType": "application/json",
                    "responseSchema": question.schema,
                    "thinkingConfig": { "thinkingLevel": self.thinking_level },
                },
            }))
            .send()
            .await
            .map_err(|error| without_answer(&error))?;
        let http = response.status();
        let body = response.bytes().await.map_err(|error| without_answer(&error))?;
        if http.is_success() { text(&body) } else { Err(refusal(http, &body)) }
    }
}

fn without_answer(error: &reqwest::Error) -> GeminiError {
    if error.is_timeout() { GeminiError::TimedOut } else { GeminiError::Unreachable }
}

/// An error answer: <https://google.aip.dev/193>.
fn refusal(http: StatusCode, body: &[u8]) -> GeminiError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &body["error"];
    let retry_in = error["details"].as_array().into_iter().flatten().find_map(|detail| {
        let is_retry_info = detail["@type"].as_str()?.ends_with("google.rpc.RetryInfo");
        // A duration in JSON is decimal seconds and an "s".
        let seconds = detail["retryDelay"].as_str()?.strip_suffix('s')?.parse().ok()?;
        if is_retry_info { Duration::try_from_secs_f64(seconds).ok() } else { None }
    });
    let status = error["status"].as_str().unwrap_or("without a reason").to_owned();
    GeminiError::Refused { http, status, retry_in }
}

/// The text of a 200: blocks come as 200 too, and parts marked as thoughts are not meant for anybody.
fn text(body: &[u8]) -> Result<String, GeminiError> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|_| GeminiError::NoText(String::from("not as documented")))?;
    let Some(candidate) = answer.candidates.into_iter().next() else {
        let reason = answer.prompt_feedback.and_then(|feedback| feedback.block_reason);
        return Err(GeminiError::PromptBlocked(reason.unwrap_or_default()));
    };
    let reason = candidate.finish_reason.unwrap_or_default();
    let text: String =
        candidate.content.parts.into_iter().filter(|part| !part.thought).map(|part| part.text).collect();
    match reason.as_str() {
        // What is there of a blocked text was meant to be withheld.
        "SAFETY" | "PROHIBITED_CONTENT" | "BLOCKLIST" | "SPII" | "RECITATION" => {
            Err(GeminiError::AnswerBlocked(reason))
        }
        "MAX_TOKENS" => Err(GeminiError::NoText(reason)),
        _ if text.trim().is_empty() => Err(GeminiError::NoText(reason)),
        _ => Ok(text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thought_parts_are_skipped_and_blocks_are_no_text() {
        let said = |body: &str| text(body.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(
            said(
                r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":" A dream. "}]},"finishReason":"STOP"}]}"#
            ),
            Ok(String::from("A dream."))
        );
        assert_eq!(
            said(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#),
            Err(String::from("Gemini blocked the prompt (SAFETY)"))
        );
        assert_eq!(
            said(r#"{"candidates":[{"content":{"parts":[{"text":"half a"}]},"finishReason":"SAFETY"}]}"#),
            Err(String::from("Gemini blocked its answer (SAFETY)"))
        );
        for reason in ["MAX_TOKENS", "OTHER"] {
            assert_eq!(
                said(&format!(r#"{{"candidates":[{{"finishReason":"{reason}"}}]}}"#)),
                Err(format!("Gemini gave no whole text ({reason})"))
            );
        }
    }

    #[test]
    fn only_what_may_pass_is_worth_another_attempt() {
        let pause =
            |http: u16, body: &str| refusal(StatusCode::from_u16(http).unwrap(), body.as_bytes()).pause();
        let exhausted = |delay: &str| {
            json!({ "error": { "details": [
                { "@type": "type.googleapis.com/google.rpc.QuotaFailure", "retryDelay": "9s" },
                { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay },
            ] } })
            .to_string()
        };
        assert_eq!(pause(429, &exhausted("27s")), Some(Duration::from_secs(27)));
        assert_eq!(pause(429, &exhausted("0.5s")), Some(Duration::from_millis(500)));
        for delay in ["-1s", "1e400s", "NaNs", "soon"] {
            assert_eq!(pause(429, &exhausted(delay)), None, "{delay}");
        }
        assert_eq!(pause(503, "<html>"), Some(BREATH));
        assert_eq!((pause(400, ""), pause(404, ""), pause(429, "{}")), (None, None, None));
    }
}
