//! Google Gemini: text for a prompt (<https://ai.google.dev/api/generate-content>).
//!
//! Only the client: the prompt, and the fallback when there is no usable response, are in [`crate::thought`].

use std::{
    sync::{Arc, Once},
    time::Duration,
};

use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::{
    deadline::Deadline,
    env::{Env, EnvError},
};

/// The model used unless configuration names another.
pub const DEFAULT_MODEL: &str = "gemini-3.5-flash-lite";

/// Delay before a retry after a server error.
const SERVER_ERROR_BACKOFF: Duration = Duration::from_millis(250);

/// From which probability on Gemini blocks each kind of harm (<https://ai.google.dev/gemini-api/docs/safety-settings>).
/// Set because newer models block nothing by default. Horror titles are legitimate input, so dangerous content and
/// harassment are only blocked at HIGH; hate and sexual content at MEDIUM. The content filter runs in any case.
const SAFETY: [(&str, &str); 4] = [
    ("HARM_CATEGORY_DANGEROUS_CONTENT", "BLOCK_ONLY_HIGH"),
    ("HARM_CATEGORY_HARASSMENT", "BLOCK_ONLY_HIGH"),
    ("HARM_CATEGORY_HATE_SPEECH", "BLOCK_MEDIUM_AND_ABOVE"),
    ("HARM_CATEGORY_SEXUALLY_EXPLICIT", "BLOCK_MEDIUM_AND_ABOVE"),
];

pub struct GenerateRequest {
    /// The system instruction. Must not contain user input.
    pub instruction: String,
    /// The user's part: user input, as JSON.
    pub data: Value,
    /// The schema of the response.
    pub schema: Value,
}

/// Why there is no text. For the log: repeats nothing that was sent.
#[derive(Debug, thiserror::Error)]
pub enum GeminiError {
    #[error("Gemini did not answer in time")]
    TimedOut,
    /// No connection, or the connection was lost.
    #[error("Gemini could not be reached")]
    Unreachable,
    /// An error response.
    #[error("Gemini refused with {http} {status}")]
    Refused {
        http: StatusCode,
        /// Google's status, such as `RESOURCE_EXHAUSTED`.
        status: String,
        /// When to retry, if Google says so.
        retry_in: Option<Duration>,
    },
    /// The safety filter blocked the prompt: `SAFETY`, `PROHIBITED_CONTENT`, …
    #[error("Gemini blocked the prompt ({0})")]
    PromptBlocked(String),
    /// A safety filter cut the response off.
    #[error("Gemini blocked its response ({0})")]
    ResponseBlocked(String),
    /// A response without a text, such as when every token was spent on thinking. It happens now and then.
    #[error("Gemini gave no text ({0})")]
    NoText(String),
}

impl GeminiError {
    /// How long to wait before a retry; `None` if a retry would not help.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        match self {
            Self::Unreachable | Self::ResponseBlocked(_) | Self::NoText(_) => Some(Duration::ZERO),
            Self::Refused { http: StatusCode::TOO_MANY_REQUESTS, retry_in, .. } => *retry_in,
            Self::Refused { http, .. } if http.is_server_error() => Some(SERVER_ERROR_BACKOFF),
            Self::Refused { .. } | Self::TimedOut | Self::PromptBlocked(_) => None,
        }
    }

    /// What to do about an error that only an operator can fix.
    fn operator_hint(&self) -> Option<&'static str> {
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

/// Cheap to clone.
#[derive(Clone)]
pub struct Gemini {
    http: Client,
    base_url: String,
    api_key: SecretString,
    model: String,
    thinking_level: String,
    /// Configuration errors are logged once per process, not at each request.
    hint_logged: Arc<Once>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerateResponse {
    #[serde(default, deserialize_with = "null_as_default")]
    candidates: Vec<Candidate>,
    #[serde(default)]
    prompt_feedback: Option<PromptFeedback>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default, deserialize_with = "null_as_default")]
    content: Content,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Content {
    #[serde(default, deserialize_with = "null_as_default")]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default, deserialize_with = "null_as_default")]
    text: String,
    #[serde(default, deserialize_with = "null_as_default")]
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
            hint_logged: Arc::new(Once::new()),
        })
    }

    /// The model's text: JSON of the requested schema, unless the model does not keep to it.
    pub async fn generate(
        &self,
        request: &GenerateRequest,
        deadline: Deadline,
    ) -> Result<String, GeminiError> {
        let result = self.send(request, deadline).await;
        if let Some(hint) = result.as_ref().err().and_then(GeminiError::operator_hint) {
            self.hint_logged.call_once(|| {
                tracing::warn!(
                    model = self.model,
                    hint,
                    "Gemini rejects every request; thoughts come from templates"
                );
            });
        }
        result
    }

    async fn send(&self, request: &GenerateRequest, deadline: Deadline) -> Result<String, GeminiError> {
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
                "systemInstruction": { "parts": [{ "text": request.instruction }] },
                "contents": [{ "role": "user", "parts": [{ "text": request.data.to_string() }] }],
                "safetySettings": safety,
                "generationConfig": {
                    "maxOutputTokens": 1024,
                    "responseMimeType": "application/json",
                    "responseSchema": request.schema,
                    "thinkingConfig": { "thinkingLevel": self.thinking_level },
                },
            }))
            .send()
            .await
            .map_err(|error| transport_error(&error))?;
        let http = response.status();
        let body = response.bytes().await.map_err(|error| transport_error(&error))?;
        if http.is_success() { text(&body) } else { Err(refusal(http, &body)) }
    }
}

/// Google sends `null` for some members that have no value.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn transport_error(error: &reqwest::Error) -> GeminiError {
    if error.is_timeout() { GeminiError::TimedOut } else { GeminiError::Unreachable }
}

/// An error response: <https://google.aip.dev/193>.
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

/// The text of a 200, which may also be a block. Parts marked as thoughts are the model's reasoning, not its text.
fn text(body: &[u8]) -> Result<String, GeminiError> {
    let response: GenerateResponse =
        serde_json::from_slice(body).map_err(|_| GeminiError::NoText(String::from("not as documented")))?;
    let Some(candidate) = response.candidates.into_iter().next() else {
        let reason = response.prompt_feedback.and_then(|feedback| feedback.block_reason);
        return Err(reason
            .map_or_else(|| GeminiError::NoText(String::from("no candidates")), GeminiError::PromptBlocked));
    };
    let reason = candidate.finish_reason.unwrap_or_default();
    let text: String =
        candidate.content.parts.into_iter().filter(|part| !part.thought).map(|part| part.text).collect();
    match reason.as_str() {
        // Discard the partial text of a blocked response.
        "SAFETY" | "PROHIBITED_CONTENT" | "BLOCKLIST" | "SPII" | "RECITATION" => {
            Err(GeminiError::ResponseBlocked(reason))
        }
        _ if text.trim().is_empty() => Err(GeminiError::NoText(reason)),
        _ => Ok(text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thought_parts_are_skipped_and_blocks_are_no_text() {
        let parsed = |body: &str| text(body.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(
            parsed(
                r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":" A dream. "}]},"finishReason":"STOP"}]}"#
            ),
            Ok(String::from("A dream."))
        );
        assert_eq!(
            parsed(
                r#"{"candidates":[{"content":{"parts":[{"text":null,"thought":null},{"text":null,"thought":true},{"text":"A dream.","thought":null}]},"finishReason":null}],"promptFeedback":null}"#
            ),
            Ok(String::from("A dream."))
        );
        assert_eq!(
            parsed(r#"{"candidates":[{"content":null,"finishReason":"STOP"}]}"#),
            Err(String::from("Gemini gave no text (STOP)"))
        );
        assert_eq!(
            parsed(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#),
            Err(String::from("Gemini blocked the prompt (SAFETY)"))
        );
        assert_eq!(
            parsed(r#"{"candidates":[{"content":{"parts":[{"text":"half a"}]},"finishReason":"SAFETY"}]}"#),
            Err(String::from("Gemini blocked its response (SAFETY)"))
        );
        for reason in ["STOP", "MAX_TOKENS", "OTHER"] {
            assert_eq!(
                parsed(&format!(r#"{{"candidates":[{{"finishReason":"{reason}"}}]}}"#)),
                Err(format!("Gemini gave no text ({reason})"))
            );
        }
        assert_eq!(parsed("{}"), Err(String::from("Gemini gave no text (no candidates)")));
    }

    #[test]
    fn retry_delay_is_given_only_where_a_retry_may_help() {
        let delay = |http: u16, body: &str| {
            refusal(StatusCode::from_u16(http).unwrap(), body.as_bytes()).retry_delay()
        };
        let exhausted = |delay: &str| {
            json!({ "error": { "details": [
                { "@type": "type.googleapis.com/google.rpc.QuotaFailure", "retryDelay": "9s" },
                { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay },
            ] } })
            .to_string()
        };
        assert_eq!(delay(429, &exhausted("27s")), Some(Duration::from_secs(27)));
        assert_eq!(delay(429, &exhausted("0.5s")), Some(Duration::from_millis(500)));
        for invalid in ["-1s", "1e400s", "NaNs", "soon"] {
            assert_eq!(delay(429, &exhausted(invalid)), None, "{invalid}");
        }
        assert_eq!(delay(503, "<html>"), Some(SERVER_ERROR_BACKOFF));
        assert_eq!((delay(400, ""), delay(404, ""), delay(429, "{}")), (None, None, None));
    }
}
