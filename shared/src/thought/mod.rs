//! Generates a short dream narration about a value: what somebody who just woke up says about a strange dream.
//!
//! **By Gemini.** It is asked for one voice note of 80 to 120 characters in the user's `voice_language`, as JSON. The
//! instruction holds no word of the user's: value and topic are data beside it (`prompt`). The text is validated
//! before it is spoken, because a model may forget a rule or obey what a user typed (`validate`):
//!
//! - the value occurs once and as given (digits stay digits), and its category is not named;
//! - 60 to 160 characters, or 120 in addition to a long value;
//! - plain speech, without label, quotation marks around it, markup or emoji;
//! - in character: it does not speak as a program;
//! - it passes the content filter, and is not clearly in another language.
//!
//! A text that fails is asked for once more, with the reason. All attempts together take at most five seconds.
//!
//! **From a template**, when Gemini has no usable text in time; [`ThoughtSource`] then says `template`. English, Spanish,
//! French, German, Italian and Portuguese have templates of their own, other languages fall back to English. So a thought
//! never fails.
//!
//! The value is said in the language of the thought where the app sends it in English: a card, a star sign, a fear
//! (`spoken_value`).
//!
//! - `routine`, `topic`, `value`, `subject`: what the thought is about;
//! - `locale`: the six languages, with their templates and the words that would name a category;
//! - `cards`, `translations`: the names of what the app's choosers offer, in the six languages;
//! - `words`, `occurrences`: find words, and the value, in a text;
//! - `flaw`: what can be wrong with a text of Gemini's;
//! - `writer`: asks Gemini, retries, and falls back to a `template`.

mod cards;
mod flaw;
mod locale;
mod occurrences;
mod prompt;
mod routine;
mod spoken_value;
mod subject;
mod template;
mod topic;
mod translations;
mod validate;
mod value;
mod words;
mod writer;

pub use routine::Routine;
pub use subject::max_characters;
pub use topic::Topic;
pub use value::SpectatorValue;
pub use writer::{Thought, ThoughtSource, Thoughts};
