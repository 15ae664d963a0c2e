//! One form for all disguises of a letter: fullwidth, homoglyphs, accents, invisible characters.

use decancer::Options;
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Greek and Cyrillic lookalikes become Latin letters. Other scripts are kept: their likeness to Latin letters is
/// far-fetched and would make words where there are none. Bidirectional text keeps its stored order, which is spoken.
fn options() -> Options {
    Options::default()
        .disable_bidi()
        .retain_hebrew()
        .retain_arabic()
        .retain_devanagari()
        .retain_bengali()
        .retain_armenian()
        .retain_gujarati()
        .retain_tamil()
        .retain_thai()
        .retain_lao()
        .retain_burmese()
        .retain_khmer()
        .retain_mongolian()
        .retain_chinese()
        .retain_japanese()
        .retain_korean()
        .retain_braille()
}

/// Some characters become others that can be normalized in turn, such as a ligature's parts; a few rounds suffice.
const MAX_ROUNDS: usize = 4;

/// Lower case, without accents (but for ñ, which makes another word: "año"), without invisible characters, and with
/// Latin letters for what looks like them. Idempotent.
pub fn normalize(text: &str) -> String {
    let mut normalized = normalize_once(text);
    for _ in 1..MAX_ROUNDS {
        let again = normalize_once(&normalized);
        if again == normalized {
            break;
        }
        normalized = again;
    }
    normalized
}

fn normalize_once(text: &str) -> String {
    let text: String = visible(text).flat_map(transliterate).collect();
    decancer::cure(&text, options()).map_or_else(|_| text.to_lowercase(), String::from)
}

/// The text as it is displayed: composed (NFC), without invisible characters.
pub fn visible(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|&c| !is_invisible(c)).nfc()
}

/// Joiners, direction marks, soft hyphens, variation selectors: they hide between letters and are not spoken.
fn is_invisible(c: char) -> bool {
    c.general_category() == GeneralCategory::Format
        || matches!(c, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}')
}

/// Letters that would be another word without their accent, or are two letters.
fn transliterate(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        'ñ' | 'Ñ' => ('n', Some('y')),
        'ß' | 'ẞ' => ('s', Some('s')),
        _ => (c, None),
    };
    std::iter::once(first).chain(second)
}
