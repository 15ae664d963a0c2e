//! The filter's error. Apart from the filter, so that [`crate::error`] does not depend on all of it.

/// The text contains a blocked word. Says neither the word nor the text: both may end up in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content filter rejects this text")]
pub struct Rejected;
