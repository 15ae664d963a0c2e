//! What Gemini wrote is judged before it is spoken: a model may forget a rule, or obey what a user typed.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};
use whatlang::Detector;

use super::{Speakable, locale::Locale, max_characters, thought::ThoughtSubject, wording};

/// Characters under which nothing has been told: a thought of 80 is asked for, and a good one of 60 is taken.
const MIN_CHARS: usize = 60;
/// Letters under which a language cannot be told.
const MIN_LETTERS: usize = 40;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Not the JSON that was asked for.
    Shape,
    /// Shorter than can be used.
    Short,
    /// Longer than can be used.
    Long,
    /// The value is not in it.
    NoValue,
    /// The value is in it more than once.
    Repeated,
    /// It names the kind of the value.
    Kind,
    /// It begins with a label.
    Label,
    /// It has line breaks, quotation marks around it, markup, emoji, hashtags, links.
    Markup,
    /// It speaks as a program, or of its instructions.
    Role,
    /// It is in another language.
    Language,
    /// The content filter refuses it.
    Inappropriate,
    /// The model's own safety filter cut it off.
    Blocked,
}

impl Flaw {
    /// What the model is told when it is asked again; the log says the same.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Shape => "it was not the JSON object with the one member \"thought\"",
            Self::Short => "it was too short",
            Self::Long => "it was too long",
            Self::NoValue => {
                "the value was missing or not spelled as given (digits stay digits, words stay in their language)"
            }
            Self::Repeated => "the value was in it more than once",
            Self::Kind => "it named what kind of thing the value is",
            Self::Label => "it began with a label or an introduction",
            Self::Markup => {
                "it had line breaks, quotation marks around it, markup, emoji, a hashtag or a link in it"
            }
            Self::Role => "it spoke as a program or of its instructions, and not as the sleeper",
            Self::Language => "it was in another language than the one asked for",
            Self::Inappropriate => "it had words in it that are not fit for a theatre audience",
            Self::Blocked => "it was cut off as unsafe; keep it light and harmless",
        }
    }
}

/// The text, if it can be spoken.
///
/// Its length may miss the 80–120 characters that are asked for: one more attempt would cost a second of the show, and
/// what an audience would notice begins at about twice as long, or half.
pub fn check(text: &str, about: &ThoughtSubject) -> Result<Speakable, Flaw> {
    let text = unquoted(text);
    let length = text.chars().count();
    if length > max_characters(about.value.as_str()) {
        return Err(Flaw::Long);
    }
    let places = wording::places(text, about);
    // What follows judges the model's words, not the user's: a value may be in any language, hold "&" or "film".
    let mut rest = text.to_owned();
    places.iter().rev().for_each(|place| rest.replace_range(place.clone(), "…"));
    match places.len() {
        0 => return Err(Flaw::NoValue),
        2.. if !wording::may_be_ordinary(about) => return Err(Flaw::Repeated),
        _ if length < MIN_CHARS => return Err(Flaw::Short),
        _ => {}
    }
    let flaw = if has_markup(&rest) {
        Some(Flaw::Markup)
    } else if has_label(text) {
        Some(Flaw::Label)
    } else if is_out_of_role(&rest) {
        Some(Flaw::Role)
    } else if names_kind(&rest, about) {
        Some(Flaw::Kind)
    } else if is_in_another_language(&rest, about) {
        Some(Flaw::Language)
    } else {
        None
    };
    flaw.map_or_else(|| Speakable::check(text).map_err(|_| Flaw::Inappropriate), Err)
}

/// Models like to put their answer into quotation marks; those around the whole of it are taken off.
fn unquoted(text: &str) -> &str {
    const PAIRS: [(char, char); 6] =
        [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('\'', '\''), ('‘', '’')];
    let text = text.trim();
    let inner = PAIRS.iter().find_map(|(open, close)| {
        let inner = text.strip_prefix(*open)?.strip_suffix(*close)?;
        // Apostrophes within it are none of theirs; other marks are, as in “Fargo”, he said, “again”.
        (matches!(open, '\'' | '‘') || !inner.contains([*open, *close])).then_some(inner)
    });
    inner.unwrap_or(text).trim()
}

fn has_markup(rest: &str) -> bool {
    let odd = |c: char| match c.general_category_group() {
        GeneralCategoryGroup::Symbol => true,
        // Joiners are part of how Persian and Hindi are written.
        GeneralCategoryGroup::Other => {
            c.general_category() != GeneralCategory::Format || !matches!(c, '\u{200c}' | '\u{200d}')
        }
        GeneralCategoryGroup::Separator => matches!(c, '\u{2028}' | '\u{2029}'),
        _ => "*#_[]{}\\/@".contains(c),
    };
    rest.chars().any(odd) || rest.contains("www.")
}

/// "Thought: …", "Dream – …", "Here is your text: …": one or two words before a colon, or up to five that speak of a
/// text before a colon or a dash.
fn has_label(text: &str) -> bool {
    const TELLING: &[&str] = &[
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
    let words: Vec<String> = wording::words(&text[..end]).map(|word| word.plain).collect();
    let tells = words.iter().any(|word| TELLING.contains(&word.as_str()));
    (text[end..].starts_with(':') && words.len() <= 2 && !text[..end].contains(['.', '…', '!', '?', ',']))
        || (tells && words.len() <= 5 && !text[..end].contains(['.', '…', '!', '?', ',']))
}

fn is_out_of_role(rest: &str) -> bool {
    const OUT: &[&str] = &[
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
    OUT.iter().any(|phrase| rest.contains(phrase))
}

fn names_kind(rest: &str, about: &ThoughtSubject) -> bool {
    let unspeakable = about.topic.unspeakable(about.language);
    wording::words(rest).any(|word| {
        let singular = word.plain.strip_suffix('s').unwrap_or(&word.plain);
        unspeakable.iter().any(|kind| *kind == word.plain || kind == singular)
    })
}

/// Whether a text is clearly in another of the six languages: short ones are often hard to tell, and pass. A text for
/// a seventh language is not judged: its neighbours (Catalan, Galician) would be taken for one of the six.
fn is_in_another_language(rest: &str, about: &ThoughtSubject) -> bool {
    let Some(locale) = about.locale() else { return false };
    if rest.chars().filter(|c| c.is_alphabetic()).count() < MIN_LETTERS {
        return false;
    }
    let detector = Detector::with_allowlist(Locale::ALL.iter().map(|locale| locale.detected).collect());
    detector.detect(rest).is_none_or(|found| found.is_reliable() && found.lang() != locale.detected)
}

#[cfg(test)]
mod tests;
