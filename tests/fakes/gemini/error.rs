//! Gemini's errors, <https://ai.google.dev/gemini-api/docs/troubleshooting>, and the responses with status 200 that hold
//! no usable text.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::super::faults::Fault;
use super::with_usage;

/// An error as all of Google's APIs word it: <https://google.aip.dev/193>.
#[derive(Debug)]
pub(super) struct ApiError {
    code: u16,
    status: &'static str,
    message: String,
    details: Vec<Value>,
}

impl ApiError {
    fn new(code: u16, status: &'static str, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), details: Vec::new() }
    }

    fn with(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    pub fn no_key() -> Self {
        let message = "Method doesn't allow unregistered callers (callers without established identity). Please use \
                       API Key or other form of API consumer identity to call this API.";
        Self::new(403, "PERMISSION_DENIED", message)
    }

    pub fn invalid_key() -> Self {
        Self::new(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.").with(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        }))
    }

    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", message)
    }

    /// `violations`: the field (empty at the top level) and what is wrong with it.
    pub fn bad_request(violations: &[(String, String)]) -> Self {
        let message: Vec<&str> = violations.iter().map(|(_, wrong)| wrong.as_str()).collect();
        let violations: Vec<Value> = violations
            .iter()
            .map(|(field, wrong)| match field.as_str() {
                "" => json!({ "description": wrong }),
                field => json!({ "field": field, "description": wrong }),
            })
            .collect();
        Self::invalid_argument(message.join("\n")).with(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": violations,
        }))
    }

    pub fn not_found(message: &str) -> Self {
        Self::new(404, "NOT_FOUND", message)
    }

    pub fn unknown_model(model: &str) -> Self {
        Self::not_found(&format!(
            "models/{model} is not found for API version v1beta, or is not supported for generateContent. Call \
             ListModels to see the list of available models and their supported methods."
        ))
    }

    fn body(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message, "status": self.status });
        if !self.details.is_empty() {
            error["details"] = json!(self.details);
        }
        json!({ "error": error })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code).expect("an HTTP status");
        (status, Json(self.body())).into_response()
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self::json(error.code, &error.body())
    }
}

/// A 200 whose only candidate has these parts, for example `[{"text": "…", "thought": true}]`.
#[must_use]
pub fn response_of_parts(parts: &Value) -> Fault {
    let candidate =
        json!({ "content": { "parts": parts, "role": "model" }, "finishReason": "STOP", "index": 0 });
    ok(json!({ "candidates": [candidate] }))
}

fn ok(response: Value) -> Fault {
    Fault::json(200, &with_usage(response, "gemini-3.5-flash-lite", "", ""))
}

/// A 200 with a candidate that holds only the reason why it has no content.
fn finished(reason: &str) -> Fault {
    ok(
        json!({ "candidates": [{ "finishReason": reason, "index": 0, "safetyRatings": ratings("HIGH", true) }] }),
    )
}

/// One rating for each category that is always rated.
pub(super) fn ratings(probability: &str, blocked: bool) -> Value {
    ["HATE_SPEECH", "DANGEROUS_CONTENT", "HARASSMENT", "SEXUALLY_EXPLICIT"]
        .iter()
        .map(|category| {
            let mut rating =
                json!({ "category": format!("HARM_CATEGORY_{category}"), "probability": probability });
            if blocked {
                rating["blocked"] = true.into();
            }
            rating
        })
        .collect()
}

/// Gemini's errors.
impl Fault {
    /// 400: the key is unknown.
    #[must_use]
    pub fn gemini_invalid_key() -> Self {
        ApiError::invalid_key().into()
    }

    /// 403: the key may not use this service.
    #[must_use]
    pub fn gemini_permission_denied() -> Self {
        ApiError::new(403, "PERMISSION_DENIED", "The caller does not have permission").into()
    }

    /// 404: the model was retired.
    #[must_use]
    pub fn retired_model() -> Self {
        ApiError::unknown_model("gemini-2.0-flash").into()
    }

    /// 429 with a retry delay of 27 seconds.
    #[must_use]
    pub fn resource_exhausted_with_retry_info() -> Self {
        Self::resource_exhausted_for("27s")
    }

    /// 429 with a retry delay in Google's JSON format, such as `0.5s`.
    #[must_use]
    pub fn resource_exhausted_for(delay: &str) -> Self {
        let message = "You exceeded your current quota, please check your plan and billing details.";
        ApiError::new(429, "RESOURCE_EXHAUSTED", message)
            .with(json!({
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{
                    "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
                    "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
                    "quotaDimensions": { "location": "global", "model": "gemini-3.5-flash-lite" },
                    "quotaValue": "15",
                }],
            }))
            .with(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }))
            .into()
    }

    /// 500 INTERNAL.
    #[must_use]
    pub fn gemini_internal() -> Self {
        ApiError::new(500, "INTERNAL", "An internal error has occurred. Please retry.").into()
    }

    /// 503 UNAVAILABLE.
    #[must_use]
    pub fn gemini_unavailable() -> Self {
        ApiError::new(503, "UNAVAILABLE", "The model is overloaded. Please try again later.").into()
    }

    /// 504 `DEADLINE_EXCEEDED`.
    #[must_use]
    pub fn gemini_deadline_exceeded() -> Self {
        let message = "The request timed out. Please try again.";
        ApiError::new(504, "DEADLINE_EXCEEDED", message).into()
    }

    /// 200 without candidates: the prompt was blocked.
    #[must_use]
    pub fn blocked_prompt() -> Self {
        ok(json!({
            "promptFeedback": { "blockReason": "PROHIBITED_CONTENT", "safetyRatings": ratings("HIGH", true) },
        }))
    }

    /// 200 with a candidate without content: the response was blocked.
    #[must_use]
    pub fn blocked_response() -> Self {
        finished("SAFETY")
    }

    /// Another form of [`Self::blocked_response`].
    #[must_use]
    pub fn prohibited_response() -> Self {
        finished("PROHIBITED_CONTENT")
    }

    /// 200: all tokens were used for thinking, and the content has no parts.
    #[must_use]
    pub fn max_tokens_without_parts() -> Self {
        let candidate = json!({ "content": { "role": "model" }, "finishReason": "MAX_TOKENS", "index": 0 });
        ok(json!({ "candidates": [candidate] }))
    }

    /// 200 with a text that breaks off because all tokens are used up.
    #[must_use]
    pub fn max_tokens_within_text() -> Self {
        let content = json!({ "parts": [{ "text": r#"{"thought": "I dreamed of"# }], "role": "model" });
        ok(json!({ "candidates": [{ "content": content, "finishReason": "MAX_TOKENS", "index": 0 }] }))
    }

    /// 200 with this thought in the JSON that the backend asks for, after a part with internal reasoning.
    #[must_use]
    pub fn gemini_thought(thought: &str) -> Self {
        Self::gemini_text(&json!({ "thought": thought }).to_string())
    }

    /// 200 with exactly this text, after a part with internal reasoning.
    #[must_use]
    pub fn gemini_text(text: &str) -> Self {
        let thinking = json!({ "text": "The user wants a dream.", "thought": true });
        response_of_parts(&json!([thinking, { "text": text }]))
    }
}
