//! The words of a text, in a form that can be compared.

use std::ops::Range;

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

pub struct Word {
    /// In lower case, without accents.
    pub normalized: String,
    /// Its bytes in the text.
    pub range: Range<usize>,
}

/// The words of a text, in order.
pub fn words(text: &str) -> impl Iterator<Item = Word> + '_ {
    let is_in_word = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    let words = text.split(move |c| !is_in_word(c)).map(move |word| {
        let start = word.as_ptr().addr() - text.as_ptr().addr();
        Word { normalized: normalize(word), range: start..start + word.len() }
    });
    // A mark without a letter, such as the one that asks for the emoji form of a heart, is no word.
    words.filter(|word| !word.normalized.is_empty())
}

/// In lower case, without accents.
pub fn normalize(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .collect::<String>()
        .replace('ß', "ss")
        .replace('œ', "oe")
        .replace('æ', "ae")
}
