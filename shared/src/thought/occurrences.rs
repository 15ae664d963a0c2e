//! Finds the value in a text.

use std::ops::Range;

use super::{
    locale::Locale,
    routine::Routine,
    words::{Word, words},
};
use crate::settings::LanguageCode;

/// Articles that merge with the word before them ("del Padrino", "vom Paten"): the one of the value may be missing.
const ARTICLES: &[&str] = &[
    "the", "a", "an", "el", "la", "los", "las", "un", "una", "le", "les", "une", "l", "der", "die", "das",
    "ein", "eine", "il", "lo", "gli", "i", "uno", "o", "os", "as", "um", "uma",
];

/// Where a value occurs in a text, in bytes. Words are compared without case, accents and punctuation.
///
/// Matching is strict, because a spectator notices a wrong value. An article before it may differ. A word may have the
/// `s` of a plural or genitive, and in German `n`, `en`, `es`; but not a name, as "Carlos" is not "Carlo". A value in
/// digits must be in digits: number words have too many spellings.
///
/// Words of up to three letters ("It", "Al") are often ordinary words too, so those with a capital are compared with
/// case. In languages without spaces between words (Japanese), and for values without letters (♥), any place counts.
pub fn find_occurrences(
    text: &str,
    value: &str,
    routine: Routine,
    language: &LanguageCode,
) -> Vec<Range<usize>> {
    let mut wanted: Vec<String> = words(value).map(|word| word.normalized).collect();
    if wanted.len() > 1 && ARTICLES.contains(&wanted[0].as_str()) {
        wanted.remove(0);
    }
    let literal: Vec<Range<usize>> =
        text.match_indices(value).map(|(at, found)| at..at + found.len()).collect();
    let found: Vec<Word> = words(text).collect();
    let is_case_sensitive = is_short_word(value) && value.contains(char::is_uppercase);
    let mut occurrences = Vec::new();
    let mut from = 0;
    while let Some(window) = found.get(from..from + wanted.len()).filter(|window| !window.is_empty()) {
        let range = window[0].range.start..window[window.len() - 1].range.end;
        let is_match = if is_case_sensitive {
            &text[range.clone()] == value
        } else {
            let mut pairs = window.iter().zip(&wanted);
            pairs.all(|(found, wanted)| is_inflection(&found.normalized, wanted, routine, language))
        };
        if is_match {
            // With the punctuation at the value's own ends, if the text has it.
            let with_punctuation =
                literal.iter().find(|literal| literal.start <= range.start && range.end <= literal.end);
            occurrences.push(with_punctuation.cloned().unwrap_or(range));
            from += wanted.len();
        } else {
            from += 1;
        }
    }
    if occurrences.is_empty() && (wanted.is_empty() || Locale::for_language(language).is_none()) {
        occurrences = literal;
    }
    occurrences
}

/// Whether a value may also be an ordinary word, as the film "It" is; a card, a sign or a name is not.
pub fn is_common_word(value: &str, routine: Routine) -> bool {
    is_short_word(value) && !matches!(routine, Routine::Cards | Routine::StarSigns | Routine::Names)
}

fn is_short_word(value: &str) -> bool {
    value.chars().count() <= 3 && value.chars().all(char::is_alphabetic)
}

fn is_inflection(found: &str, wanted: &str, routine: Routine, language: &LanguageCode) -> bool {
    let Some(ending) = found.strip_prefix(wanted) else { return false };
    let endings: &[&str] = match language.code() {
        "de" => &["s", "n", "en", "es"],
        _ => &["s"],
    };
    ending.is_empty()
        || (routine != Routine::Names && wanted.chars().all(char::is_alphabetic) && endings.contains(&ending))
}
