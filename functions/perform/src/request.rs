//! What a perform is asked for.

use deserr::Deserr;
use shared::{
    content::{self, Routine, Speakable, Value},
    error::Error,
    json::{FieldError, Invalid, Reason},
    session::Caller,
    settings::SettingsOverride,
};

/// The body, as it is sent.
#[derive(Deserr)]
#[deserr(error = Invalid)]
pub struct Body {
    #[deserr(default)]
    user_id: Option<String>,
    #[deserr(default)]
    routine_type: Option<Routine>,
    #[deserr(default)]
    value: Option<Value>,
    #[deserr(default)]
    text: Option<Text>,
    #[deserr(default)]
    settings_override: Option<SettingsOverride>,
    #[deserr(default = Voice::Own)]
    voice: Voice,
}

/// Whose voice speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserr)]
#[deserr(rename_all = lowercase)]
pub enum Voice {
    /// The user's, as an ephemeral clone.
    Own,
    /// The configured stock voice; no clone.
    Default,
}

impl Voice {
    /// The contract's word in an answer.
    pub fn source(self) -> &'static str {
        match self {
            Self::Own => "ephemeral_clone",
            Self::Default => "default_voice",
        }
    }
}

/// 1–1000 characters: what is to be said.
#[derive(Deserr)]
#[deserr(try_from(String) = Self::try_from -> Reason)]
struct Text(String);

/// A checked request: what it says has passed the filter.
pub struct Request {
    /// What is said, or what a thought is to be written about.
    pub words: Words,
    /// The routine, where the caller named one.
    pub routine: Option<Routine>,
    /// Whose voice.
    pub voice: Voice,
    /// Settings for this perform.
    pub settings_override: SettingsOverride,
}

/// What is said.
pub enum Words {
    /// This text.
    Text(Speakable),
    /// A thought about this value.
    ThoughtAbout(Routine, Speakable),
}

impl Words {
    /// The most characters that will be spoken.
    pub fn most_characters(&self) -> usize {
        match self {
            Self::Text(text) => text.characters(),
            Self::ThoughtAbout(_, value) => content::most_characters(value.as_str()),
        }
    }
}

impl Body {
    /// Checks what no single member can tell.
    pub fn checked(self, caller: &Caller) -> Result<Request, Error> {
        if self.user_id.is_some_and(|id| !caller.is(&id)) {
            return Err(Error::Forbidden);
        }
        let words = match (self.text, self.routine_type, self.value) {
            (Some(Text(text)), _, None) => Words::Text(Speakable::check(text)?),
            (None, Some(routine), Some(Value(value))) => {
                Words::ThoughtAbout(routine, Speakable::check(value)?)
            }
            (Some(_), _, Some(_)) => {
                return Err(Error::Invalid(vec![field("text", "cannot be combined with value")]));
            }
            (None, None, None) => {
                let message = "is missing: send routine_type and value, or text";
                return Err(Error::Invalid(vec![field("routine_type", message), field("value", message)]));
            }
            (None, Some(_), None) => return Err(Error::Invalid(vec![field("value", "is missing")])),
            (None, None, Some(_)) => return Err(Error::Invalid(vec![field("routine_type", "is missing")])),
        };
        Ok(Request {
            words,
            routine: self.routine_type,
            voice: self.voice,
            settings_override: self.settings_override.unwrap_or_default(),
        })
    }
}

fn field(field: &str, message: &str) -> FieldError {
    FieldError { field: field.to_owned(), message: message.to_owned() }
}

impl TryFrom<String> for Text {
    type Error = Reason;

    fn try_from(text: String) -> Result<Self, Reason> {
        match text.trim().chars().count() {
            1..=1000 => Ok(Self(text.trim().to_owned())),
            _ => Err(Reason("must have 1 to 1000 characters")),
        }
    }
}
