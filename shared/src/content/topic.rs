//! What a value is one of.

use super::{Routine, Speakable, locale::Locale, wording};
use crate::settings::LanguageCode;

/// The kind of a value: it makes the dream fit, and is never said in it.
#[derive(Clone, Debug)]
pub enum Topic {
    /// A routine's.
    Of(Routine),
    /// In the user's own words.
    Named(Speakable),
}

/// Words of a topic that say nothing about it.
const EMPTY: &str = "about algo alguem alguien alguma avec chose coisa coisas como cosa cosas dein deine delle della eine \
    einen einer etwas favorite favourite from jemand para personal pour qualcosa qualcuno quelque sobre some somebody \
    someone something that their thing things this what which with your";

impl Topic {
    /// In words, for Gemini.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Of(routine) => routine.kind(),
            Self::Named(words) => words.as_str(),
        }
    }

    /// The routine that it is about, also where the user only named its kind.
    pub(super) fn routine(&self) -> Routine {
        match self {
            Self::Of(routine) => *routine,
            Self::Named(words) => wording::words(words.as_str())
                .find_map(|word| Locale::routine_named(&word.plain))
                .unwrap_or(Routine::Custom),
        }
    }

    /// The words that a dream in this language must not say, in plain letters.
    pub(super) fn unspeakable(&self, language: &LanguageCode) -> Vec<String> {
        let mut unspeakable: Vec<String> =
            Locale::or_english(language).kind(self.routine()).iter().map(|&word| word.to_owned()).collect();
        if let Self::Named(words) = self {
            let telling = wording::words(words.as_str()).map(|word| word.plain).filter(|word| {
                word.chars().count() > 3 && !EMPTY.split_whitespace().any(|empty| empty == word)
            });
            unspeakable.extend(telling);
        }
        unspeakable
    }
}
