//! Finds the value in a text.

use std::{cmp::Reverse, ops::Range};

use super::{
    cards::Card,
    locale::Locale,
    routine::Routine,
    words::{Word, words},
};
use crate::settings::LanguageCode;

/// Articles that merge with the word before them ("del Padrino", "vom Paten"): the one of the value may be missing,
/// unless the value is nothing but articles ("The The").
const ARTICLES: &[&str] = &[
    "the", "a", "an", "el", "la", "los", "las", "un", "una", "le", "les", "une", "l", "der", "die", "das",
    "ein", "eine", "il", "lo", "gli", "i", "uno", "o", "os", "as", "um", "uma",
];

/// Where a value occurs in a text, in bytes, under any of its names: a card has several. The ranges are in order and do
/// not overlap.
pub fn find_occurrences(
    text: &str,
    value: &str,
    routine: Routine,
    language: &LanguageCode,
) -> Vec<Range<usize>> {
    let locale = Locale::or_english(language);
    let text_words: Vec<Word> = words(text).collect();
    let find = |name: &str| find_name(text, &text_words, name, routine, language);
    let Some(card) = find_card(value, routine, locale) else { return find(value) };
    let mut found: Vec<Range<usize>> = card.names(locale).iter().flat_map(|name| find(name)).collect();
    found.sort_by_key(|range| (range.start, Reverse(range.end)));
    let mut end = 0;
    found.retain(|range| {
        let is_apart = range.start >= end;
        end = end.max(range.end);
        is_apart
    });
    found
}

/// Whether a text names another card than the one whose occurrences are given, in the language or in English.
pub fn names_other_card(
    text: &str,
    value: &str,
    occurrences: &[Range<usize>],
    routine: Routine,
    language: &LanguageCode,
) -> bool {
    let locale = Locale::or_english(language);
    let Some(own) = find_card(value, routine, locale) else { return false };
    let is_own =
        |range: &Range<usize>| occurrences.iter().any(|own| own.start <= range.start && range.end <= own.end);
    let is_english = locale.code == Locale::ALL[0].code;
    let others = Card::all().filter(|card| *card != own).flat_map(|card| card.names(locale));
    let english = Card::all().filter(|_| !is_english).flat_map(|card| card.names(&Locale::ALL[0]));
    let text_words: Vec<Word> = words(text).collect();
    let mut names = others.chain(english);
    names.any(|name| !find_name(text, &text_words, &name, routine, language).iter().all(is_own))
}

fn find_card(value: &str, routine: Routine, locale: &Locale) -> Option<Card> {
    if routine == Routine::Cards { Card::parse(value, locale) } else { None }
}

/// Where a name occurs in a text. Words are compared without case, accents and punctuation.
///
/// Matching is strict, because a spectator notices a wrong value. An article before it may differ. A word may have the
/// `s` of a plural or genitive, and in German `n`, `en`, `es`; but not a name, as "Carlos" is not "Carlo". A value in
/// digits must be in digits: number words have too many spellings.
///
/// Words of up to three letters ("It", "Al") are often ordinary words too, so those with a capital are compared with
/// case. In languages without spaces between words (Japanese), and for values without letters (♥), any place counts.
///
/// The ranges are in order and do not overlap.
fn find_name(
    text: &str,
    found: &[Word],
    value: &str,
    routine: Routine,
    language: &LanguageCode,
) -> Vec<Range<usize>> {
    let mut wanted: Vec<Word> = words(value).collect();
    if wanted.first().is_some_and(is_article) && !wanted.iter().all(is_article) {
        wanted.remove(0);
    }
    let literal: Vec<Range<usize>> =
        text.match_indices(value).map(|(at, found)| at..at + found.len()).collect();
    // Of the one word that is looked for: "It", and "Re" of "Il Re".
    let case_sensitive = match wanted.as_slice() {
        [word] => Some(&value[word.range.clone()])
            .filter(|word| is_short_word(word) && word.contains(char::is_uppercase)),
        _ => None,
    };
    let mut occurrences: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while let Some(window) = found.get(from..from + wanted.len()).filter(|window| !window.is_empty()) {
        let range = window[0].range.start..window[window.len() - 1].range.end;
        let is_match = if let Some(word) = case_sensitive {
            &text[range.clone()] == word
        } else {
            let mut pairs = window.iter().zip(&wanted);
            pairs.all(|(found, wanted)| {
                is_inflection(&found.normalized, &wanted.normalized, routine, language)
            })
        };
        let end_of_last = occurrences.last().map_or(0, |last| last.end);
        if is_match && range.start >= end_of_last {
            // With the punctuation at the value's own ends, if the text has it.
            let with_punctuation = literal.iter().find(|literal| {
                end_of_last <= literal.start && literal.start <= range.start && range.end <= literal.end
            });
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

fn is_article(word: &Word) -> bool {
    ARTICLES.contains(&word.normalized.as_str())
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
