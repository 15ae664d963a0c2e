//! How a value is said in the language of the thought.
//!
//! | routine | what is said |
//! |---|---|
//! | cards | the card as people of the language call it |
//! | star signs, fears | the app's English names in the language; anything else as it was typed |
//! | numbers | digits, without English separators where the language has others |
//! | years, names, films, anything else | as it was typed |

use super::{
    cards::Card,
    locale::Locale,
    routine::Routine,
    translations::{FEARS, STAR_SIGNS, translate},
};
use crate::{content_filter::Speakable, settings::LanguageCode};

pub fn spoken_value(value: &Speakable, routine: Routine, language: &LanguageCode) -> Speakable {
    let (text, locale) = (value.as_str(), Locale::or_english(language));
    let spoken = match routine {
        Routine::Cards => Card::parse(text, locale).map(|card| card.spoken(locale)),
        Routine::StarSigns => translate(STAR_SIGNS, text, locale).map(str::to_owned),
        Routine::Phobias => translate(FEARS, text, locale).map(str::to_owned),
        Routine::Numbers => local_number(text, locale),
        Routine::Years | Routine::Names | Routine::Movies | Routine::Custom => None,
    };
    spoken.and_then(|spoken| Speakable::check(spoken).ok()).unwrap_or_else(|| value.clone())
}

/// "1,000.5" as "1000,5": the five other languages have a decimal comma. `None` if it is no English number.
fn local_number(text: &str, locale: &Locale) -> Option<String> {
    let is_english = locale.code == "en";
    let (whole, decimals) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let has_groups = whole.contains(',');
    let is_number = are_digits(first)
        && (!has_groups || first.len() <= 3)
        && groups.all(|group| group.len() == 3 && are_digits(group))
        && decimals.is_none_or(are_digits);
    // "3.000" is written so in the other languages too, for three thousand.
    let is_ambiguous = !has_groups && decimals.is_some_and(|decimals| decimals.len() == 3);
    (is_number && !is_english && !is_ambiguous).then(|| {
        let whole = whole.replace(',', "");
        decimals.map_or(whole.clone(), |decimals| format!("{whole},{decimals}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thought::{max_characters, words::words};

    fn spoken(value: &str, routine: Routine, language: &str) -> String {
        let language = LanguageCode::try_from(language.to_owned()).unwrap();
        spoken_value(&Speakable::check(value).unwrap(), routine, &language).as_str().to_owned()
    }

    #[test]
    fn value_of_each_routine_is_said_as_the_language_says_it() {
        for (routine, value, expected) in [
            (Routine::Numbers, "42", ["42", "42", "42", "42", "42", "42"]),
            (Routine::Numbers, "1,024", ["1,024", "1024", "1024", "1024", "1024", "1024"]),
            (Routine::Numbers, "3.14", ["3.14", "3,14", "3,14", "3,14", "3,14", "3,14"]),
            (Routine::Numbers, "3.000", ["3.000"; 6]),
            (Routine::Numbers, "1,2,3", ["1,2,3"; 6]),
            (Routine::Numbers, "seven", ["seven"; 6]),
            (
                Routine::StarSigns,
                "Gemini",
                ["Gemini", "Géminis", "les Gémeaux", "die Zwillinge", "i Gemelli", "Gêmeos"],
            ),
            (Routine::StarSigns, "leo", ["leo", "Leo", "le Lion", "der Löwe", "il Leone", "Leão"]),
            (Routine::StarSigns, "Tauro", ["Tauro"; 6]),
            (
                Routine::Phobias,
                "Arachnophobia",
                [
                    "Arachnophobia",
                    "la aracnofobia",
                    "l'arachnophobie",
                    "die Arachnophobie",
                    "l'aracnofobia",
                    "a aracnofobia",
                ],
            ),
            (
                Routine::Phobias,
                "Fear of the dark",
                ["Fear of the dark", "la oscuridad", "le noir", "die Dunkelheit", "il buio", "o escuro"],
            ),
            (
                Routine::Phobias,
                "Acrophobia (fear of heights)",
                [
                    "Acrophobia (fear of heights)",
                    "la acrofobia",
                    "l'acrophobie",
                    "die Akrophobie",
                    "l'acrofobia",
                    "a acrofobia",
                ],
            ),
            (Routine::Phobias, "pineapples on pizza", ["pineapples on pizza"; 6]),
            (Routine::Years, "1987", ["1987"; 6]),
            (Routine::Names, "Leo", ["Leo"; 6]),
            (Routine::Names, "Queen", ["Queen"; 6]),
            (Routine::Movies, "Death", ["Death"; 6]),
            (Routine::Custom, "Q of Hearts", ["Q of Hearts"; 6]),
        ] {
            for (locale, expected) in Locale::ALL.iter().zip(expected) {
                assert_eq!(spoken(value, routine, locale.code), expected, "{}", locale.code);
            }
        }
        // No language of ours: the card's whole name is more than its code.
        assert_eq!(spoken("Q of Hearts", Routine::Cards, "ja"), "the Queen of Hearts");
    }

    #[test]
    fn translations_are_speakable_and_fit_the_reserved_length() {
        for row in STAR_SIGNS.iter().chain(FEARS) {
            for english in row[0].split('|') {
                let normalized: Vec<String> = words(english).map(|word| word.normalized).collect();
                assert_eq!(normalized.join(" "), english);
            }
            for text in &row[1..] {
                assert!(Speakable::check(*text).is_ok(), "{text}");
                assert!(max_characters(text) == max_characters(""), "{text}");
            }
        }
    }
}
