//! The function `thought`: the words that are spoken.

mod thoughts;
mod words;
