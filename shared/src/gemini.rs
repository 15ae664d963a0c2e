//! Google Gemini: text for a prompt (<https://ai.google.dev/api/generate-content>).
//!
//! A client and nothing more: what is asked, and what is done when no usable answer comes, is
//! [`crate::content`]'s.

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    deadline::Deadline,
    env::{Env, EnvError},
};

/// The model used unless configuration names another.
pub const DEFAULT_MODEL: &str = "gemini-3.5-flash-lite";

/// Why there is no text. Its words are for the log and repeat nothing that was sent.
#[derive(Debug, thiserror::Error)]
pub enum GeminiError {
    /// No answer: out of reach or out of time.
    #[error("Gemini did not answer in time or could not be reached")]
    NoAnswer,
    /// An error answer.
    #[error("Gemini refused with {http} {status}")]
    Refused {
        /// The HTTP status.
        http: u16,
        /// Google's own word, such as `RESOURCE_EXHAUSTED`.
        status: String,
    },
    /// An answer without text: a block, or every token spent on thinking.
    #[error("Gemini gave no text ({0})")]
    NoText(String),
}

/// A client. Cloning it is cheap.
#[derive(Clone)]
pub struct Gemini {
    http: Client,
    base_url: String,
    api_key: SecretString,
    model: String,
    thinking_level: String,
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
        })
    }

    /// The model's text for a system instruction and a user's part, which is data.
    pub async fn generate(
        &self,
        instruction: &str,
        data: &Value,
        by: Deadline,
    ) -> Result<String, GeminiError> {
        let time = by.remaining();
        if time.is_zero() {
            return Err(GeminiError::NoAnswer);
        }
        let response = self
            .http
            .post(format!("{}/v1beta/models/{}:generateContent", self.base_url, self.model))
            .header("x-goog-api-key", self.api_key.expose_secret())
            .timeout(time)
            .json(&json!({
                "systemInstruction": { "parts": [{ "text": instruction }] },
                "contents": [{ "role": "user", "parts": [{ "text": data.to_string() }] }],
                "generationConfig": {
                    "maxOutputTokens": 1024,
                    "responseMimeType": "text/plain",
                    "thinkingConfig": { "thinkingLevel": self.thinking_level },
                },
            }))
            .send()
            .await
            .map_err(|_| GeminiError::NoAnswer)?;
        let http = response.status();
        let body = response.bytes().await.map_err(|_| GeminiError::NoAnswer)?;
        if !http.is_success() {
            let error: Value = serde_json::from_slice(&body).unwrap_or_default();
            let status = error["error"]["status"].as_str().unwrap_or("without a reason").to_owned();
            return Err(GeminiError::Refused { http: http.as_u16(), status });
        }
        text(&body)
    }
}

/// The text of a 200: blocks come as 200 too, and parts marked as thoughts are not meant for anybody.
fn text(body: &[u8]) -> Result<String, GeminiError> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|_| GeminiError::NoText(String::from("not as documented")))?;
    let Some(candidate) = answer.candidates.into_iter().next() else {
        let reason = answer.prompt_feedback.and_then(|feedback| feedback.block_reason);
        return Err(GeminiError::NoText(format!("prompt blocked: {}", reason.unwrap_or_default())));
    };
    let text: String =
        candidate.content.parts.into_iter().filter(|part| !part.thought).map(|part| part.text).collect();
    let text = text.trim();
    if text.is_empty() {
        return Err(GeminiError::NoText(candidate.finish_reason.unwrap_or_default()));
    }
    Ok(text.to_owned())
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
            Err(String::from("Gemini gave no text (prompt blocked: SAFETY)"))
        );
        assert_eq!(
            said(r#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#),
            Err(String::from("Gemini gave no text (MAX_TOKENS)"))
        );
    }
}
