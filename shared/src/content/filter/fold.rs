//! One form for all disguises of a letter.

use decancer::Options;
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Greek and Cyrillic letters pass for Latin ones and are brought to these; other scripts stay what they are, as
/// their likeness to Latin letters is far-fetched and would make words where there are none. The order stays the
/// stored one: it is what is spoken.
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

/// Some characters become others that can be folded in turn, such as a ligature's parts; none goes on for long.
const ROUNDS: usize = 4;

/// Lower case, without accents (but for ñ, which makes another word: "año"), without invisible characters, and with
/// Latin letters for what looks like them. Folding twice gives the same as folding once.
pub fn fold(text: &str) -> String {
    let mut folded = once(text);
    for _ in 1..ROUNDS {
        let again = once(&folded);
        if again == folded {
            break;
        }
        folded = again;
    }
    folded
}

fn once(text: &str) -> String {
    let spelled: String = visible(text).flat_map(spelled_out).collect();
    decancer::cure(&spelled, options()).map_or_else(|_| spelled.to_lowercase(), String::from)
}

/// The text as it is seen: composed (NFC), and without the characters that cannot be seen.
pub fn visible(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|&c| !is_invisible(c)).nfc()
}

/// Joiners, direction marks, soft hyphens, variation selectors: they hide between letters, and are not spoken.
fn is_invisible(c: char) -> bool {
    c.general_category() == GeneralCategory::Format
        || matches!(c, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}')
}

/// Letters that are more than their likeness.
fn spelled_out(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        'ñ' | 'Ñ' => ('n', Some('y')),
        'ß' | 'ẞ' => ('s', Some('s')),
        _ => (c, None),
    };
    std::iter::once(first).chain(second)
}
