//! The content filter.
//!
//! `rustrict` finds profanity through spacing, accents and leetspeak. It knows little Spanish and takes some
//! innocent names for profanity, so two short lists stand beside it.

use rustrict::{CensorStr as _, Type};

use crate::error::Error;

/// Text that passed the filter: the only kind that can be spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speakable(String);

impl Speakable {
    /// Lets text through, or refuses it with 422 `content_rejected`.
    pub fn check(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        if is_inappropriate(&text) { Err(Error::ContentRejected) } else { Ok(Self(text)) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many characters ElevenLabs counts.
    #[must_use]
    pub fn characters(&self) -> usize {
        self.0.chars().count()
    }
}

/// Names and titles that are taken for profanity and are none. Compared without case, as whole words.
const INNOCENT: &[&str] = &[
    "analía",
    "basterds",
    "dick tracy",
    "dick turpin",
    "dick van dyke",
    "moby dick",
    "philip k. dick",
    "puss in boots",
    "sex and the city",
    "sex education",
    "shiitake",
];

/// Profanity that `rustrict` does not know. Compared without case, as whole words.
const PROFANE: &[&str] = &[
    "cabron", "cabrón", "coño", "culiao", "maricon", "maricón", "pendejo", "pendeja", "polla", "puta",
    "puto", "putas", "verga", "zorra",
];

fn is_inappropriate(text: &str) -> bool {
    let mut text = text.to_lowercase();
    for name in INNOCENT {
        text = without(&text, name);
    }
    text.split(|c: char| !c.is_alphanumeric()).any(|word| PROFANE.contains(&word))
        || text.is(Type::MODERATE_OR_HIGHER)
}

/// The text with whole-word occurrences of a name taken out.
fn without(text: &str, name: &str) -> String {
    let mut rest = text;
    let mut kept = String::with_capacity(text.len());
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let whole = !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
        kept.push_str(before);
        kept.push_str(if whole { "…" } else { name });
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn innocent_names_pass() {
        for text in [
            "Assassin's Creed",
            "Sussex",
            "Kill Bill",
            "Moby Dick",
            "Dick Van Dyke",
            "Analía",
            "cocktail",
            "Essex",
            "Shiitake",
            "Penistone",
            "Inglourious Basterds",
            "Queen of Hearts",
            "fear of spiders",
            "1987",
            "Fargo",
            "Scunthorpe",
            "Sex and the City",
            "La reina de corazones",
            "Zorro",
            "Computadora",
        ] {
            assert!(Speakable::check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn profanity_does_not_pass_in_disguise_either() {
        for text in
            ["fuck", "f u c k", "sh1t", "FÜCK", "you bitch", "hijo de puta", "mierda", "moby dickhead"]
        {
            assert!(Speakable::check(text).is_err(), "{text}");
        }
    }
}
