//! Writes thoughts: asks Gemini, once more if that may help, and falls back to a template.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    flaw::Flaw, locale::Locale, prompt, spoken_value::spoken_value, subject::ThoughtSubject,
    template::from_template, topic::Topic, validate::validate,
};
use crate::{
    content_filter::Speakable,
    deadline::Deadline,
    gemini::{Gemini, GeminiError, GenerateRequest},
    settings::LanguageCode,
};

/// For all attempts together. Gemini usually needs about one second. A perform creates its clone meanwhile, which takes
/// longer than this, so it seldom waits for a thought at all.
const TIMEOUT: Duration = Duration::from_secs(5);
/// With less time left, no second attempt is made.
const MIN_ATTEMPT_TIME: Duration = Duration::from_millis(800);

#[derive(Clone, Debug)]
pub struct Thought {
    pub text: Speakable,
    pub source: ThoughtSource,
    /// The language of the text, as ISO 639-1.
    pub language: String,
}

/// Who wrote a thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThoughtSource {
    Gemini,
    /// A built-in template: Gemini had no usable text in time.
    Template,
}

impl ThoughtSource {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
            Self::Template => "template",
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Thoughts {
    gemini: Gemini,
}

/// Why an attempt gave no usable text.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error(transparent)]
    Gemini(#[from] GeminiError),
    #[error("Gemini's text cannot be used: {}", .0.retry_hint())]
    Flawed(Flaw),
}

impl Thoughts {
    #[must_use]
    pub fn new(gemini: Gemini) -> Self {
        Self { gemini }
    }

    /// Never fails: falls back to a template. Takes five seconds at most.
    pub async fn write(
        &self,
        topic: Topic,
        value: &Speakable,
        language: &LanguageCode,
        deadline: Deadline,
    ) -> Thought {
        let value = spoken_value(value, topic.routine(), language);
        let subject = ThoughtSubject { topic: &topic, value: &value, language };
        match self.ask_gemini(&subject, deadline.capped_at(TIMEOUT)).await {
            Ok(text) => Thought { text, source: ThoughtSource::Gemini, language: language.code().to_owned() },
            Err(error) => {
                tracing::warn!(%error, "the thought comes from a template");
                Thought {
                    text: from_template(&subject),
                    source: ThoughtSource::Template,
                    language: Locale::or_english(language).code.to_owned(),
                }
            }
        }
    }

    async fn ask_gemini(
        &self,
        subject: &ThoughtSubject<'_>,
        deadline: Deadline,
    ) -> Result<Speakable, AttemptError> {
        let error = match self.attempt(subject, None, deadline).await {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        match error.retry_delay() {
            Some(delay) if delay + MIN_ATTEMPT_TIME <= deadline.remaining() => {
                tracing::info!(%error, "asking Gemini once more");
                tokio::time::sleep(delay).await;
                self.attempt(subject, error.flaw(), deadline).await
            }
            _ => Err(error),
        }
    }

    async fn attempt(
        &self,
        subject: &ThoughtSubject<'_>,
        previous_flaw: Option<Flaw>,
        deadline: Deadline,
    ) -> Result<Speakable, AttemptError> {
        let request = GenerateRequest {
            instruction: prompt::instruction(subject, previous_flaw),
            data: prompt::data(subject),
            schema: prompt::schema(),
        };
        let response = self.gemini.generate(&request, deadline).await?;
        prompt::parse_response(&response)
            .and_then(|text| validate(&text, subject, &request.instruction))
            .map_err(AttemptError::Flawed)
    }
}

impl AttemptError {
    /// `None` if another attempt would fail the same way.
    fn retry_delay(&self) -> Option<Duration> {
        match self {
            Self::Gemini(error) => error.retry_delay(),
            Self::Flawed(_) => Some(Duration::ZERO),
        }
    }

    /// What to tell the model about it.
    fn flaw(&self) -> Option<Flaw> {
        match self {
            Self::Flawed(flaw) => Some(*flaw),
            Self::Gemini(GeminiError::ResponseBlocked(_)) => Some(Flaw::Blocked),
            Self::Gemini(_) => None,
        }
    }
}
