//! The words: what may be spoken, what is asked of Gemini, and what is said when Gemini has no answer.
//!
//! - `filter`: [`Speakable`], the type of text that passed the content filter;
//! - `value`: what the spectator thinks of;
//! - `routine`: the routines of the show and what each is about;
//! - `thought`: a thought written by Gemini, or from the built-in templates.

mod filter;
mod routine;
mod thought;
mod value;

pub use filter::Speakable;
pub use routine::Routine;
pub use thought::{Thought, ThoughtSource, Thoughts, most_characters};
pub use value::Value;
