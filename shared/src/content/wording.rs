//! Words of a text, and where a value stands in it.

use std::ops::Range;

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

use super::{Routine, thought::ThoughtSubject};

/// A word and its place.
pub struct Word {
    /// In lower case, without accents: what can be compared.
    pub plain: String,
    /// Its bytes in the text.
    pub at: Range<usize>,
}

/// The words of a text, in order.
pub fn words(text: &str) -> impl Iterator<Item = Word> + '_ {
    let belongs = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    text.split(move |c| !belongs(c)).filter(|word| !word.is_empty()).map(move |word| {
        let start = word.as_ptr().addr() - text.as_ptr().addr();
        Word { plain: plain(word), at: start..start + word.len() }
    })
}

fn plain(word: &str) -> String {
    word.nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .collect::<String>()
        .replace('ß', "ss")
}

/// Articles that lean on the word before them ("del Padrino", "vom Paten"): a value's own may be missing.
const ARTICLES: &[&str] = &[
    "the", "a", "an", "el", "la", "los", "las", "un", "una", "le", "les", "une", "l", "der", "die", "das",
    "ein", "eine", "il", "lo", "gli", "i", "uno", "o", "os", "as", "um", "uma",
];

/// Where the value stands in a text. Compared word by word, without case, accents and punctuation.
///
/// A show stands or falls with the value, so little may differ: an article before it may be another; a word may have a
/// plural's or genitive's `s`, and in German `n`, `en`, `es`, but not in names, where "Carlos" is not "Carlo". Numbers
/// and years are digits where the value is in digits: their words can be spelled in too many ways to be sure of them.
///
/// Words of up to three letters ("It", "Al") are often ordinary words too, so those with a capital are looked for as they
/// are written.
/// Where words are not told apart by blanks (Japanese), and where a value has none (♥), any place counts.
pub fn places(text: &str, about: &ThoughtSubject) -> Vec<Range<usize>> {
    let value = about.value.as_str();
    let mut wanted: Vec<String> = words(value).map(|word| word.plain).collect();
    if wanted.len() > 1 && ARTICLES.contains(&wanted[0].as_str()) {
        wanted.remove(0);
    }
    let whole: Vec<Range<usize>> =
        text.match_indices(value).map(|(at, found)| at..at + found.len()).collect();
    let said: Vec<Word> = words(text).collect();
    let as_written = is_small(value) && value.contains(char::is_uppercase);
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(row) = said.get(from..from + wanted.len()).filter(|row| !row.is_empty()) {
        let place = row[0].at.start..row[row.len() - 1].at.end;
        let same = if as_written {
            &text[place.clone()] == value
        } else {
            row.iter().zip(&wanted).all(|(said, wanted)| is_form_of(&said.plain, wanted, about))
        };
        if same {
            // With the signs at the value's own ends, where they were kept.
            let with_signs = whole.iter().find(|whole| whole.start <= place.start && place.end <= whole.end);
            places.push(with_signs.cloned().unwrap_or(place));
            from += wanted.len();
        } else {
            from += 1;
        }
    }
    if places.is_empty() && (wanted.is_empty() || about.locale().is_none()) {
        places = whole;
    }
    places
}

/// Whether the value may stand in a sentence of its own accord too, as the film "It" does, and a sign or a name does not.
pub fn may_be_ordinary(about: &ThoughtSubject) -> bool {
    let routine = about.topic.routine();
    is_small(about.value.as_str()) && !matches!(routine, Routine::Cards | Routine::StarSigns | Routine::Names)
}

fn is_small(value: &str) -> bool {
    value.chars().count() <= 3 && value.chars().all(char::is_alphabetic)
}

fn is_form_of(said: &str, wanted: &str, about: &ThoughtSubject) -> bool {
    let Some(ending) = said.strip_prefix(wanted) else { return false };
    let endings: &[&str] = match about.language.code() {
        "de" => &["s", "n", "en", "es"],
        _ => &["s"],
    };
    ending.is_empty()
        || (about.topic.routine() != Routine::Names
            && wanted.chars().all(char::is_alphabetic)
            && endings.contains(&ending))
}
