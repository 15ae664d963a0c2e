//! Validates what Gemini wrote before it is spoken: a model may forget a rule, or obey what a user typed.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};
use whatlang::Detector;

use super::{
    flaw::Flaw,
    locale::Locale,
    subject::{ThoughtSubject, max_characters},
    words::words,
};
use crate::content_filter::{Rejected, Speakable};

/// 80 characters are asked for; a good thought of 60 is accepted.
const MIN_CHARS: usize = 60;
/// Words in a row that a thought may share with the instruction, and one more is a flaw.
const MAX_SHARED_WORDS: usize = 5;
/// With fewer letters, the language cannot be detected.
const MIN_LETTERS: usize = 40;

/// Strips the quotation marks around a text, and rejects what cannot be spoken. `instruction` is what the model was told.
///
/// The limits are wider than the 80 to 120 characters that are asked for: another attempt would cost about a second, and
/// an audience only notices a text that is about twice as long, or half.
pub fn validate(text: &str, subject: &ThoughtSubject, instruction: &str) -> Result<Speakable, Flaw> {
    let text = strip_quotes(text);
    let length = text.chars().count();
    if length > max_characters(subject.value.as_str()) {
        return Err(Flaw::TooLong);
    }
    let occurrences = subject.occurrences_in(text);
    match occurrences.len() {
        0 => return Err(Flaw::ValueMissing),
        2.. if !subject.is_common_word() => return Err(Flaw::ValueRepeated),
        _ if length < MIN_CHARS => return Err(Flaw::TooShort),
        _ => {}
    }
    if subject.other_card_in(text, &occurrences) {
        return Err(Flaw::OtherCard);
    }
    // The remaining rules are for the model's words, not the user's: a value may be in any language, hold "&" or "film".
    let mut rest = text.to_owned();
    occurrences.iter().rev().for_each(|range| rest.replace_range(range.clone(), "…"));
    if has_markup(&rest) {
        return Err(Flaw::Markup);
    }
    if has_label(text) {
        return Err(Flaw::Label);
    }
    if breaks_character(&rest) {
        return Err(Flaw::OutOfCharacter);
    }
    if repeats_instruction(&rest, instruction) {
        return Err(Flaw::InstructionRepeated);
    }
    if names_category(&rest, subject) {
        return Err(Flaw::CategoryNamed);
    }
    if is_in_another_language(&rest, subject) {
        return Err(Flaw::WrongLanguage);
    }
    Speakable::check(text).map_err(|Rejected| Flaw::Inappropriate)
}

/// Models like to put their response into quotation marks: strips those around the whole of it.
fn strip_quotes(text: &str) -> &str {
    const PAIRS: [(char, char); 6] =
        [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('\'', '\''), ('‘', '’')];
    let text = text.trim();
    let inner = PAIRS.iter().find_map(|(open, close)| {
        let inner = text.strip_prefix(*open)?.strip_suffix(*close)?;
        // Apostrophes may occur within it; other marks would be a pair of their own, as in “Fargo”, he said, “again”.
        (matches!(open, '\'' | '‘') || !inner.contains([*open, *close])).then_some(inner)
    });
    inner.unwrap_or(text).trim()
}

fn has_markup(rest: &str) -> bool {
    let is_markup = |c: char| match c.general_category_group() {
        GeneralCategoryGroup::Symbol => true,
        // Joiners are part of how Persian and Hindi are written.
        GeneralCategoryGroup::Other => {
            c.general_category() != GeneralCategory::Format || !matches!(c, '\u{200c}' | '\u{200d}')
        }
        GeneralCategoryGroup::Separator => matches!(c, '\u{2028}' | '\u{2029}'),
        _ => "*#_[]{}\\/@".contains(c),
    };
    rest.chars().any(is_markup) || rest.contains("www.")
}

/// "Thought: …", "Dream – …", "Here is your text: …": one or two words before a colon, or up to five with one of
/// `LABEL_WORDS` before a colon or a dash.
fn has_label(text: &str) -> bool {
    const LABEL_WORDS: &[&str] = &[
        "thought",
        "dream",
        "note",
        "answer",
        "output",
        "text",
        "message",
        "here",
        "sure",
        "pensamiento",
        "sueno",
        "nota",
        "respuesta",
        "texto",
        "aqui",
        "claro",
        "pensee",
        "reve",
        "reponse",
        "texte",
        "voici",
        "gedanke",
        "traum",
        "antwort",
        "sprachnachricht",
        "hier",
        "pensiero",
        "sogno",
        "risposta",
        "testo",
        "ecco",
        "pensamento",
        "sonho",
        "resposta",
    ];
    let Some(end) = text.find([':', '–', '—']).or_else(|| text.find(" - ")) else { return false };
    let words: Vec<String> = words(&text[..end]).map(|word| word.normalized).collect();
    let has_label_word = words.iter().any(|word| LABEL_WORDS.contains(&word.as_str()));
    (text[end..].starts_with(':') && words.len() <= 2 && !text[..end].contains(['.', '…', '!', '?', ',']))
        || (has_label_word && words.len() <= 5 && !text[..end].contains(['.', '…', '!', '?', ',']))
}

fn breaks_character(rest: &str) -> bool {
    const PHRASES: &[&str] = &[
        "language model",
        "as an ai",
        "i'm an ai",
        "i am an ai",
        "assistant",
        "system prompt",
        "instructions",
        "modelo de lenguaje",
        "soy una ia",
        "instrucciones",
        "modèle de langage",
        "une ia",
        "sprachmodell",
        "eine ki",
        "modello linguistico",
        "sono un'ia",
        "istruzioni",
        "modelo de linguagem",
        "uma ia",
        "instruções",
        "json",
    ];
    let rest = rest.to_lowercase();
    PHRASES.iter().any(|phrase| rest.contains(phrase))
}

/// Whether a model speaks its own rules. No sentence of a sleeper's has so many words in a row with them in common.
fn repeats_instruction(rest: &str, instruction: &str) -> bool {
    let normalized = |text: &str| words(text).map(|word| word.normalized).collect::<Vec<_>>();
    let (rest, instruction) = (normalized(rest), normalized(instruction));
    let length = MAX_SHARED_WORDS + 1;
    rest.windows(length).any(|run| instruction.windows(length).any(|shared| shared == run))
}

fn names_category(rest: &str, subject: &ThoughtSubject) -> bool {
    let forbidden = subject.topic.forbidden_words(subject.language);
    words(rest).any(|word| {
        let singular = word.normalized.strip_suffix('s').unwrap_or(&word.normalized);
        forbidden.iter().any(|forbidden| *forbidden == word.normalized || forbidden == singular)
    })
}

/// Whether a text is clearly in another of the six languages; short texts are often ambiguous and pass. A text for
/// another language is not judged: Catalan or Galician would be taken for one of the six.
fn is_in_another_language(rest: &str, subject: &ThoughtSubject) -> bool {
    let Some(locale) = subject.locale() else { return false };
    if rest.chars().filter(|c| c.is_alphabetic()).count() < MIN_LETTERS {
        return false;
    }
    let detector = Detector::with_allowlist(Locale::ALL.iter().map(|locale| locale.detected).collect());
    detector.detect(rest).is_none_or(|found| found.is_reliable() && found.lang() != locale.detected)
}

#[cfg(test)]
mod tests;
