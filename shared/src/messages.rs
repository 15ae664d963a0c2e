//! What a problem says to a person, in the person's language.
//!
//! The code speaks English. Every other language has a file of translations by the English text, in which `{}` stands for
//! what varies, in the same order in both. A text without a translation stays English; the tests refuse files that do not
//! translate the same texts, and a problem that is not translated.

use std::{cmp::Reverse, collections::BTreeMap, sync::LazyLock};

use http::{HeaderMap, header};

use crate::accept::weighted_ranges;

/// A language that problems are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language {
    /// ISO 639-1.
    pub code: &'static str,
    /// Its place in `CATALOGUES`; `None` for English.
    catalogue: Option<usize>,
}

const ENGLISH: Language = Language { code: "en", catalogue: None };

const CODES: [&str; 5] = ["es", "fr", "de", "it", "pt"];

/// Translations by the English text.
static CATALOGUES: LazyLock<[BTreeMap<String, String>; 5]> = LazyLock::new(|| {
    [
        include_str!("messages/es.json"),
        include_str!("messages/fr.json"),
        include_str!("messages/de.json"),
        include_str!("messages/it.json"),
        include_str!("messages/pt.json"),
    ]
    // Checked by the tests; a file that cannot be read would leave its language in English.
    .map(|file| serde_json::from_str(file).unwrap_or_default())
});

impl Language {
    /// The language that `Accept-Language` prefers among the six, or English (RFC 9110, section 12.5.4).
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let ranges = weighted_ranges(headers, header::ACCEPT_LANGUAGE);
        let candidates = ranges.iter().enumerate().filter_map(|(place, (range, weight))| {
            // "es-MX" is served in Spanish, "*" in English.
            let language = match range.split(['-', '_']).next()? {
                "en" | "*" => ENGLISH,
                code => {
                    let catalogue = CODES.iter().position(|known| *known == code)?;
                    Self { code: CODES[catalogue], catalogue: Some(catalogue) }
                }
            };
            (*weight > 0).then_some(((*weight, Reverse(place)), language))
        });
        candidates.max_by_key(|(rank, _)| *rank).map_or(ENGLISH, |(_, language)| language)
    }

    /// The text in this language, as far as there is a translation.
    #[must_use]
    pub fn translate(self, english: &str) -> String {
        let translation = self.catalogue.and_then(|catalogue| {
            let found = CATALOGUES[catalogue].iter().filter_map(|(template, translation)| {
                Some((template.len(), captures(template, english)?, translation))
            });
            // The most specific template.
            found.max_by_key(|(length, ..)| *length)
        });
        let Some((_, captured, translation)) = translation else { return english.to_owned() };
        let mut text = translation.clone();
        for part in captured {
            text = text.replacen("{}", &self.translate(part), 1);
        }
        text
    }
}

/// What a text has in the places of `{}`; `None` if it does not fit the template.
fn captures<'a>(template: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let (first, others) = template.split_once("{}").unwrap_or((template, ""));
    let mut rest = text.strip_prefix(first)?;
    let mut captured = Vec::new();
    if first.len() == template.len() {
        return rest.is_empty().then_some(captured);
    }
    let mut others = others.split("{}").peekable();
    while let Some(literal) = others.next() {
        let end =
            if others.peek().is_some() { rest.find(literal)? } else { rest.strip_suffix(literal)?.len() };
        captured.push(&rest[..end]);
        rest = &rest[end + literal.len()..];
    }
    Some(captured)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn language(header: &str) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_str(header).unwrap());
        Language::from_headers(&headers).code
    }

    fn spanish() -> Language {
        Language { code: "es", catalogue: Some(0) }
    }

    #[test]
    fn accept_language_is_honoured_with_its_weights() {
        for (header, expected) in [
            ("es", "es"),
            ("de-AT, en;q=0.5", "de"),
            ("PT-br", "pt"),
            ("en-GB,en;q=0.9,fr;q=0.8", "en"),
            ("fr;q=0.2, it;q=0.9, en;q=0.1", "it"),
            ("nl, ja;q=0.9, fr;q=0.1", "fr"),
            ("nl", "en"),
            ("es;q=0", "en"),
            ("es;q=0, *;q=0.5", "en"),
            ("*", "en"),
            ("fr, es", "fr"),
            ("est, frr", "en"),
            ("", "en"),
            (";;,=q", "en"),
        ] {
            assert_eq!(language(header), expected, "{header}");
        }
        assert_eq!(Language::from_headers(&HeaderMap::new()).code, "en");
    }

    #[test]
    fn translations_are_of_the_same_texts_in_every_language() {
        let texts: Vec<&str> = CATALOGUES[0].keys().map(String::as_str).collect();
        assert!(texts.len() > 60, "{}", texts.len());
        for (code, catalogue) in CODES.iter().zip(CATALOGUES.iter()) {
            let translated: Vec<&str> = catalogue.keys().map(String::as_str).collect();
            assert_eq!(translated, texts, "{code}");
            for (english, translation) in catalogue {
                assert!(!translation.trim().is_empty(), "{code} {english}");
                assert_eq!(
                    translation.matches("{}").count(),
                    english.matches("{}").count(),
                    "{code} {english}"
                );
            }
        }
    }

    #[test]
    fn translation_keeps_what_varies() {
        for (english, expected) in [
            ("This username is taken.", "Este nombre de usuario ya está en uso."),
            (
                "This month's characters are used up: 20 are left and up to 160 are needed.",
                "Se han agotado los caracteres de este mes: quedan 20 y hacen falta hasta 160.",
            ),
            (
                "must have 3 to 32 letters, digits, or any of _ . -",
                "debe tener de 3 a 32 letras, cifras o alguno de _ . -",
            ),
            ("must have 1 to 500 characters", "debe tener de 1 a 500 caracteres"),
            (
                "What was sent cannot be read: it is not JSON at line 2, column 7.",
                "Lo que se envió no se puede leer: no es JSON en la línea 2, columna 7.",
            ),
            (
                "takes[3].value cannot be spoken: the content filter refuses some of the words.",
                "takes[3].value no se puede decir: el filtro no permite algunas de las palabras.",
            ),
            ("nothing of ours", "nothing of ours"),
            ("{}", "{}"),
        ] {
            assert_eq!(spanish().translate(english), expected);
            assert_eq!(ENGLISH.translate(english), english);
        }
    }
}
