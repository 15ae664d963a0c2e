//! The category of a value ("a playing card"): it makes the dream fit, and is never named in it.

use super::{locale::Locale, routine::Routine, words::words};
use crate::{content_filter::Speakable, settings::LanguageCode};

#[derive(Clone, Debug)]
pub enum Topic {
    Routine(Routine),
    /// In the user's own words.
    Custom(Speakable),
}

/// Words of a custom topic that say nothing about it.
const STOP_WORDS: &str = "about algo alguem alguien alguma avec chose coisa coisas como cosa cosas dein deine delle \
    della eine einen einer etwas favorite favourite from jemand para personal pour qualcosa qualcuno quelque sobre some \
    somebody someone something that their thing things this what which with your";

impl Topic {
    /// For the prompt.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Routine(routine) => routine.category(),
            Self::Custom(text) => text.as_str(),
        }
    }

    /// The routine, also where the user named one in their own words.
    pub(super) fn routine(&self) -> Routine {
        match self {
            Self::Routine(routine) => *routine,
            Self::Custom(text) => words(text.as_str())
                .find_map(|word| Locale::routine_for_word(&word.normalized))
                .unwrap_or(Routine::Custom),
        }
    }

    /// The words that a thought in this language must not contain, normalized.
    pub(super) fn forbidden_words(&self, language: &LanguageCode) -> Vec<String> {
        let mut forbidden: Vec<String> = Locale::or_english(language)
            .category_words(self.routine())
            .iter()
            .map(|&word| word.to_owned())
            .collect();
        if let Self::Custom(text) = self {
            let is_meaningful = |word: &String| {
                word.chars().count() > 3 && !STOP_WORDS.split_whitespace().any(|stop_word| stop_word == word)
            };
            forbidden.extend(words(text.as_str()).map(|word| word.normalized).filter(is_meaningful));
        }
        forbidden
    }
}

impl From<Routine> for Topic {
    fn from(routine: Routine) -> Self {
        Self::Routine(routine)
    }
}
