//! The words: what may be spoken, what is asked of Gemini, and what is said when Gemini has no answer.
//!
//! - `filter`: [`Speakable`], the type of text that passed the content filter;
//! - `value`: what the spectator thinks of; `topic`: what it is one of; `routine`: the routines of the show;
//! - `locale`: what we can say ourselves in six languages;
//! - `thought`: a thought, written by Gemini or from the built-in templates; `prompt` asks for it, `check` judges what
//!   came back, `wording` finds the value in it.

mod check;
mod filter;
mod locale;
mod prompt;
mod routine;
mod thought;
mod topic;
mod value;
mod wording;

pub use filter::Speakable;
pub use routine::Routine;
pub use thought::{Thought, ThoughtSource, Thoughts, max_characters};
pub use topic::Topic;
pub use value::SpectatorValue;
