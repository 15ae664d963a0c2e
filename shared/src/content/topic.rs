//! What a value is one of.

use super::{Routine, Speakable, tongue::Tongue, wording};
use crate::settings::Language;

/// The kind of a value: it makes the dream fit, and is never said in it.
#[derive(Clone, Debug)]
pub enum Topic {
    /// A routine's.
    Of(Routine),
    /// In the user's own words.
    Named(Speakable),
}

/// Words of a topic that say nothing about it.
const EMPTY: &[&str] = &[
    "some",
    "something",
    "someone",
    "somebody",
    "that",
    "this",
    "with",
    "from",
    "your",
    "their",
    "about",
    "what",
    "which",
    "favorite",
    "favourite",
    "thing",
    "things",
    "personal",
    "algo",
    "alguien",
    "cosa",
    "cosas",
    "sobre",
    "para",
    "como",
    "quelque",
    "chose",
    "avec",
    "pour",
    "etwas",
    "jemand",
    "eine",
    "einen",
    "einer",
    "dein",
    "deine",
    "qualcosa",
    "qualcuno",
    "della",
    "delle",
    "alguem",
    "alguma",
    "coisa",
    "coisas",
];

impl Topic {
    /// In words, for Gemini.
    pub fn words(&self) -> &str {
        match self {
            Self::Of(routine) => routine.kind(),
            Self::Named(words) => words.as_str(),
        }
    }

    /// The routine that it is about, also where the user only named its kind.
    pub fn routine(&self) -> Routine {
        match self {
            Self::Of(routine) => *routine,
            Self::Named(words) => wording::words(words.as_str())
                .find_map(|word| Tongue::routine_named(&word.plain))
                .unwrap_or(Routine::Custom),
        }
    }

    /// The words that a dream in this language must not say, in plain letters.
    pub fn unspeakable(&self, language: &Language) -> Vec<String> {
        let mut unspeakable: Vec<String> =
            Tongue::or_english(language).kind(self.routine()).iter().map(|&word| word.to_owned()).collect();
        if let Self::Named(words) = self {
            let telling = wording::words(words.as_str())
                .map(|word| word.plain)
                .filter(|word| word.chars().count() > 3 && !EMPTY.contains(&word.as_str()));
            unspeakable.extend(telling);
        }
        unspeakable
    }
}
