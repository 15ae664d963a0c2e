//! What a thought is about.

use std::ops::Range;

use super::{locale::Locale, occurrences, topic::Topic};
use crate::{content_filter::Speakable, settings::LanguageCode};

/// Characters that a thought may have: 120 are asked for.
const MAX_CHARS: usize = 160;
/// Characters that it may have in addition to a long value.
const MAX_CHARS_AROUND_VALUE: usize = 120;

pub struct ThoughtSubject<'a> {
    pub topic: &'a Topic,
    /// As it is to be said.
    pub value: &'a Speakable,
    /// The language of the thought, not of the value.
    pub language: &'a LanguageCode,
}

impl ThoughtSubject<'_> {
    /// `None` for a language without templates of its own.
    pub fn locale(&self) -> Option<&'static Locale> {
        Locale::for_language(self.language)
    }

    /// Where the value occurs in a text, in bytes.
    pub fn occurrences_in(&self, text: &str) -> Vec<Range<usize>> {
        occurrences::find_occurrences(text, self.value.as_str(), self.topic.routine(), self.language)
    }

    /// Whether a text names another card than this one.
    pub fn other_card_in(&self, text: &str, occurrences: &[Range<usize>]) -> bool {
        let (value, routine) = (self.value.as_str(), self.topic.routine());
        occurrences::names_other_card(text, value, occurrences, routine, self.language)
    }

    /// Whether the value may also occur in a sentence as an ordinary word.
    pub fn is_common_word(&self) -> bool {
        occurrences::is_common_word(self.value.as_str(), self.topic.routine())
    }
}

/// The maximum length of a thought about this value, by Gemini or from a template. A perform reserves as much of the
/// quota before the thought exists.
#[must_use]
pub fn max_characters(value: &str) -> usize {
    MAX_CHARS.max(value.chars().count() + MAX_CHARS_AROUND_VALUE)
}
