//! The content filter: keeps what an audience must not hear out of the spoken text.
//!
//! **What it blocks**, in English, Spanish, French, German, Italian and Portuguese, and in a few words of other
//! languages: profanity and insults, vulgar words for sex and for parts of the body, slurs, sexual violence, and calls
//! to hurt oneself or others.
//!
//! **What it allows**: what is merely dark, as shows and film titles are (death, fear, blood, war, suicide as a word).
//! It knows words and not meanings: politics, defamation and irony are the performer's own affair.
//!
//! **How it works**: a text is blocked if it contains a word of `word_lists/*.txt`. Leetspeak (`sh1t`), spacing
//! (`f u c k`), signs (`p.u.t.a`), repeated letters, lookalike letters of other scripts, accents and invisible
//! characters do not hide a word. Words are compared as a whole, so Scunthorpe and Analía pass; names that contain a
//! listed word, such as Moby Dick, are on `word_lists/allowlist.txt`.
//!
//! **To change it**: add an example to `testdata/allowed.txt` or `testdata/blocked.txt`, and an entry to a list. The
//! tests check every example, also within a sentence and in upper and lower case.
//!
//! - `normalize`: one form for all disguises of a letter;
//! - `tokens`: the words of a normalized text, and what separates them;
//! - `word_lists`: the lists, read from the text files;
//! - `matcher`: finds listed words in a text.

mod matcher;
mod normalize;
mod rejected;
mod tokens;
mod word_lists;

use serde::Serialize;

pub use rejected::Rejected;

/// Text that passed the filter: the only kind that can be spoken. [`Speakable::check`] is the only way to make one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Speakable(String);

impl Speakable {
    pub fn check(text: impl Into<String>) -> Result<Self, Rejected> {
        let text = text.into();
        if matcher::contains_blocked_word(&text) { Err(Rejected) } else { Ok(Self(text)) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many characters ElevenLabs counts: Unicode scalar values.
    #[must_use]
    pub fn characters(&self) -> usize {
        self.0.chars().count()
    }
}

#[cfg(test)]
mod tests;
