//! The models that speak: what a character costs, what they understand, and whether they still should be used.
//!
//! A table, as of autumn 2026 (<https://elevenlabs.io/docs/overview/models>): `/health` touches no network, and a model
//! that went away is better seen there, and in the log at start, than on stage.

use serde::Serialize;
use utoipa::ToSchema;

/// The model used unless configuration names another: about 75 ms to the first byte, at half the price.
pub const DEFAULT_MODEL: &str = "eleven_flash_v2_5";

/// A model, as configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechModel {
    /// ElevenLabs' id of it.
    pub id: String,
    /// Whether it should be used.
    pub status: ModelStatus,
    supports_language_code: bool,
}

/// Whether a model should be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelStatus {
    /// Yes.
    Current,
    /// It speaks, but a newer one should be chosen before it is gone.
    Deprecated,
    /// ElevenLabs has taken it away: every perform fails.
    Retired,
    /// It is not in the table. It may be newer than the table, or misspelt.
    Unknown,
}

/// Id, status, and whether it takes a `language_code`: others refuse it
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
    /// What is known of the model with this id.
    #[must_use]
    pub fn named(id: &str) -> Self {
        let known = MODELS.iter().find(|(known, ..)| *known == id);
        let (status, supports_language_code) =
            known.map_or((ModelStatus::Unknown, false), |(_, status, language)| (*status, *language));
        Self { id: id.to_owned(), status, supports_language_code }
    }

    /// Whether it is told the language of a text.
    #[must_use]
    pub fn supports_language_code(&self) -> bool {
        self.supports_language_code
    }

    /// What one character costs: Flash and Turbo half, others one. True of the families, so also of a member that the
    /// table does not know.
    #[must_use]
    pub fn cost_factor(&self) -> f64 {
        if self.is_half_price() { 0.5 } else { 1.0 }
    }

    /// What a text of that many characters costs: whole characters, rounded up, at least one.
    #[must_use]
    pub fn cost(&self, characters: usize) -> i64 {
        let characters = if self.is_half_price() { characters.div_ceil(2) } else { characters };
        i64::try_from(characters.max(1)).unwrap_or(i64::MAX)
    }

    /// Tells the operator what is wrong with the choice of this model, if anything is.
    pub fn warn_if_not_current(&self) {
        let trouble = match self.status {
            ModelStatus::Current => return,
            ModelStatus::Deprecated => "it is deprecated; choose a newer one before it is gone",
            ModelStatus::Retired => "ElevenLabs has retired it, and every perform will fail",
            ModelStatus::Unknown => "it is not known; check its spelling",
        };
        tracing::warn!(model = self.id, trouble, "ELEVENLABS_MODEL names a model that should be looked at");
    }

    fn is_half_price(&self) -> bool {
        self.id.contains("flash") || self.id.contains("turbo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_costs_the_models_factor_and_never_nothing() {
        for (id, of_101, of_100) in
            [("eleven_flash_v2_5", 51, 50), ("eleven_multilingual_v2", 101, 100), ("eleven_v9_turbo", 51, 50)]
        {
            let model = SpeechModel::named(id);
            assert_eq!((model.cost(101), model.cost(100), model.cost(0)), (of_101, of_100, 1), "{id}");
        }
    }

    #[test]
    fn the_default_is_current_and_what_is_misspelt_is_not_known() {
        assert_eq!(SpeechModel::named(DEFAULT_MODEL).status, ModelStatus::Current);
        assert_eq!(SpeechModel::named("eleven_flash_v25").status, ModelStatus::Unknown);
        assert!(!SpeechModel::named("eleven_flash_v25").supports_language_code());
    }
}
