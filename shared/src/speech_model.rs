//! ElevenLabs' speech models: cost per character, supported parameters, lifecycle status.
//!
//! A built-in table, as of autumn 2026 (<https://elevenlabs.io/docs/overview/models>), because `/health` makes no
//! network calls: a retired model shows there, and in the log at start, before the first perform fails.

use serde::Serialize;
use utoipa::ToSchema;

use crate::env::Env;

/// The default: about 75 ms to the first byte, at half the price.
const DEFAULT_MODEL: &str = "eleven_flash_v2_5";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechModel {
    pub id: String,
    pub status: ModelStatus,
    supports_language_code: bool,
}

/// The lifecycle status of a speech model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelStatus {
    /// Supported.
    Current,
    /// Still works; switch to a newer one before it is retired.
    Deprecated,
    /// Removed by ElevenLabs: every perform fails.
    Retired,
    /// Not in the built-in table: newer than it, or misspelt.
    Unknown,
}

/// Id, status, and whether the model supports `language_code`; the others reject it
/// (<https://elevenlabs.io/docs/api-reference/text-to-speech/convert>).
const MODELS: [(&str, ModelStatus, bool); 9] = [
    ("eleven_flash_v2_5", ModelStatus::Current, true),
    ("eleven_flash_v2", ModelStatus::Current, false),
    ("eleven_multilingual_v2", ModelStatus::Current, false),
    ("eleven_v3", ModelStatus::Current, true),
    ("eleven_v4", ModelStatus::Current, false),
    ("eleven_turbo_v2_5", ModelStatus::Deprecated, true),
    ("eleven_turbo_v2", ModelStatus::Deprecated, false),
    ("eleven_multilingual_v1", ModelStatus::Retired, false),
    ("eleven_monolingual_v1", ModelStatus::Retired, false),
];

impl SpeechModel {
    /// Reads `ELEVENLABS_MODEL`, and logs a warning if that model is not current.
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        let model = Self::named(env.get("ELEVENLABS_MODEL").unwrap_or(DEFAULT_MODEL));
        model.warn_if_not_current();
        model
    }

    /// The model with this id.
    #[must_use]
    pub fn named(id: &str) -> Self {
        let known = MODELS.iter().find(|(known, ..)| *known == id);
        let (status, supports_language_code) =
            known.map_or((ModelStatus::Unknown, false), |(_, status, language)| (*status, *language));
        Self { id: id.to_owned(), status, supports_language_code }
    }

    #[must_use]
    pub fn supports_language_code(&self) -> bool {
        self.supports_language_code
    }

    /// The cost of one character: 0.5 for Flash and Turbo, otherwise 1. By family, so that it also holds for models
    /// that the table does not have.
    #[must_use]
    pub fn cost_factor(&self) -> f64 {
        if self.is_half_price() { 0.5 } else { 1.0 }
    }

    /// The cost of a text in characters: rounded up, at least 1.
    #[must_use]
    pub fn cost(&self, characters: usize) -> i64 {
        let characters = if self.is_half_price() { characters.div_ceil(2) } else { characters };
        i64::try_from(characters.max(1)).unwrap_or(i64::MAX)
    }

    fn warn_if_not_current(&self) {
        let problem = match self.status {
            ModelStatus::Current => return,
            ModelStatus::Deprecated => "deprecated: switch to a newer model before it is retired",
            ModelStatus::Retired => "retired by ElevenLabs: every perform will fail",
            ModelStatus::Unknown => "unknown: check its spelling",
        };
        tracing::warn!(model = self.id, problem, "ELEVENLABS_MODEL is not a current model");
    }

    fn is_half_price(&self) -> bool {
        self.id.contains("flash") || self.id.contains("turbo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_the_models_factor_per_character_and_at_least_one() {
        for (id, of_101, of_100) in
            [("eleven_flash_v2_5", 51, 50), ("eleven_multilingual_v2", 101, 100), ("eleven_v9_turbo", 51, 50)]
        {
            let model = SpeechModel::named(id);
            assert_eq!((model.cost(101), model.cost(100), model.cost(0)), (of_101, of_100, 1), "{id}");
        }
    }

    #[test]
    fn default_model_is_current_and_a_misspelt_one_unknown() {
        assert_eq!(SpeechModel::named(DEFAULT_MODEL).status, ModelStatus::Current);
        assert_eq!(SpeechModel::named("eleven_flash_v25").status, ModelStatus::Unknown);
        assert!(!SpeechModel::named("eleven_flash_v25").supports_language_code());
    }
}
