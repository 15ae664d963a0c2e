//! What is wrong with the members of a request, collected so that one response names every mistake.
//!
//! A type's own rule fails with a [`ValidationError`]; `deserr` adds the member's path and collects all of them in
//! [`ValidationErrors`], which become [`crate::error::Error::Invalid`].

use std::ops::ControlFlow;

use deserr::{DeserializeError, ErrorKind, IntoValue, MergeWithError, ValueKind, ValuePointerRef};
use serde::Serialize;
use utoipa::ToSchema;

/// One bad member of a request.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, ToSchema)]
pub struct FieldError {
    /// The member's path, such as `settings_override.voice_stability`; empty for the whole body.
    pub field: String,
    /// What is wrong with it, in words.
    pub message: String,
}

/// Why a value is rejected: names the rule and never the value, which may be a password.
#[derive(Debug)]
pub struct ValidationError(pub &'static str);

/// Every bad field found so far.
#[derive(Debug)]
pub struct ValidationErrors(pub Vec<FieldError>);

impl ValidationErrors {
    fn push(previous: Option<Self>, field: String, message: String) -> ControlFlow<Self, Self> {
        let mut errors = previous.map(|invalid| invalid.0).unwrap_or_default();
        errors.push(FieldError { field, message });
        ControlFlow::Continue(Self(errors))
    }
}

impl DeserializeError for ValidationErrors {
    fn error<V: IntoValue>(
        previous: Option<Self>,
        error: ErrorKind<V>,
        location: ValuePointerRef,
    ) -> ControlFlow<Self, Self> {
        let (field, message) = match error {
            ErrorKind::MissingField { field } => (path(location.push_key(field)), String::from("is missing")),
            ErrorKind::IncorrectValueKind { accepted, .. } => {
                (path(location), format!("must be {}", kinds(accepted)))
            }
            ErrorKind::UnknownKey { key, .. } => (path(location.push_key(key)), String::from("is not known")),
            ErrorKind::UnknownValue { accepted, .. } => {
                (path(location), format!("must be one of: {}", accepted.join(", ")))
            }
            ErrorKind::BadSequenceLen { .. } => {
                (path(location), String::from("has the wrong number of items"))
            }
            // The text can carry the value (a number out of range does); the rule is enough.
            ErrorKind::Unexpected { .. } => (path(location), String::from("is out of range")),
        };
        Self::push(previous, field, message)
    }
}

impl MergeWithError<Self> for ValidationErrors {
    fn merge(previous: Option<Self>, other: Self, _location: ValuePointerRef) -> ControlFlow<Self, Self> {
        let mut errors = previous.map(|invalid| invalid.0).unwrap_or_default();
        errors.extend(other.0);
        ControlFlow::Continue(Self(errors))
    }
}

impl MergeWithError<ValidationError> for ValidationErrors {
    fn merge(
        previous: Option<Self>,
        reason: ValidationError,
        location: ValuePointerRef,
    ) -> ControlFlow<Self, Self> {
        Self::push(previous, path(location), reason.0.to_owned())
    }
}

fn path(location: ValuePointerRef) -> String {
    match location {
        ValuePointerRef::Origin => String::new(),
        ValuePointerRef::Key { key, prev } => match path(*prev) {
            parent if parent.is_empty() => key.to_owned(),
            parent => format!("{parent}.{key}"),
        },
        ValuePointerRef::Index { index, prev } => format!("{}[{index}]", path(*prev)),
    }
}

fn kinds(accepted: &[ValueKind]) -> String {
    let mut words: Vec<&str> = accepted
        .iter()
        .map(|kind| match kind {
            ValueKind::Null => "null",
            ValueKind::Boolean => "true or false",
            ValueKind::Integer | ValueKind::NegativeInteger => "a whole number",
            ValueKind::Float => "a number",
            ValueKind::String => "a string",
            ValueKind::Sequence => "a list",
            ValueKind::Map => "an object",
        })
        .collect();
    if words.contains(&"a number") {
        words.retain(|word| *word != "a whole number");
    }
    words.dedup();
    words.join(" or ")
}

/// Text that a person typed or pasted, without the blanks around it: white space, and what pasting brings along unseen.
#[must_use]
pub fn trim_blanks(text: &str) -> &str {
    let is_unseen = |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    text.trim_matches(|c: char| c.is_whitespace() || is_unseen(c))
}
