//! The content filter: what an audience must not hear.
//!
//! It refuses, in English, Spanish, French, German, Italian and Portuguese, and in a few words of other languages:
//! profanity and insults, vulgar words for sex and for parts of the body, slurs, sexual violence, and calls to hurt
//! oneself. It lets pass what is merely dark, as shows and film titles are: death, fear, blood, war, suicide as a
//! word. It knows words, not meanings: politics, defamation and irony are the performer's own affair.
//!
//! - `fold`: brings every disguise of a letter (fullwidth, homoglyphs, accents, invisible characters) to one form;
//! - `lists`: the words, from the text files beside it;
//! - `words`: finds them through leetspeak, spacing and repeated letters, as whole words, so that nobody's name or
//!   town is refused for what it contains.

mod fold;
mod lists;
mod words;

use serde::Serialize;

use crate::error::Error;

/// Text that passed the filter: the only kind that can be spoken. [`Speakable::check`] is the only way to make one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Speakable(String);

impl Speakable {
    /// Lets text through, or refuses it with 422 `content_rejected`.
    pub fn check(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        if words::inappropriate(&text) { Err(Error::ContentRejected) } else { Ok(Self(text)) }
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

#[cfg(test)]
mod tests;
