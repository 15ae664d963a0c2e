//! The request body of a perform, and its validation: one take, or a list.

use deserr::Deserr;
use shared::{
    content_filter::Speakable,
    error::{Error, FieldError},
    json::{ValidationError, ValidationErrors},
    session::Caller,
    settings::SettingsOverride,
    thought::{self, Routine, SpectatorValue},
};
use utoipa::ToSchema;

const MAX_TAKES: usize = 10;
/// Maximum characters of all takes of a list. At ten characters a second, slower than people speak a language with an
/// alphabet, they last four minutes: 5.1 MB of MP3 at 128 kbit/s in base64, and Lambda's response limit is 6 MB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>). Ten thoughts about usual values fit.
const MAX_CHARACTERS: usize = 2400;

/// `routine_type` and `value`, or `text`, or `takes`.
#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
#[schema(as = Perform)]
pub struct Body {
    #[deserr(default)]
    user_id: Option<String>,
    #[deserr(default)]
    routine_type: Option<Routine>,
    #[deserr(default)]
    value: Option<SpectatorValue>,
    #[deserr(default)]
    text: Option<Text>,
    #[deserr(default)]
    takes: Option<Takes>,
    #[deserr(default)]
    settings_override: Option<SettingsOverride>,
    #[deserr(default = Voice::Own)]
    #[schema(required = false)]
    voice: Voice,
}

/// Whose voice is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserr, ToSchema)]
#[deserr(rename_all = lowercase)]
#[schema(rename_all = "lowercase")]
pub enum Voice {
    /// The user's, as an ephemeral clone.
    Own,
    /// The configured stock voice; no clone.
    Default,
}

/// One take of a list: the same members as a single take has in the body itself.
#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
#[schema(as = Take)]
struct TakeBody {
    #[deserr(default)]
    routine_type: Option<Routine>,
    #[deserr(default)]
    value: Option<SpectatorValue>,
    #[deserr(default)]
    text: Option<Text>,
}

/// 1–10 takes.
#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors, try_from(Vec<TakeBody>) = Self::try_from -> ValidationError)]
#[schema(min_items = 1, max_items = 10)]
struct Takes(Vec<TakeBody>);

/// 1–1000 characters.
#[derive(Deserr, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(min_length = 1, max_length = 1000, pattern = r"\S", example = "Last night I dreamt of a red card.")]
struct Text(String);

/// A validated request: its texts have passed the content filter.
pub struct Request {
    /// At least one.
    pub takes: Vec<Take>,
    /// Whether they were sent as a list, and are returned as one.
    pub is_list: bool,
    pub voice: Voice,
    pub settings_override: SettingsOverride,
}

pub struct Take {
    pub text: TakeText,
    /// If the caller named one.
    pub routine: Option<Routine>,
}

pub enum TakeText {
    Text(Speakable),
    /// A thought about this value is generated.
    ThoughtAbout(Routine, Speakable),
}

impl TakeText {
    pub fn max_characters(&self) -> usize {
        match self {
            Self::Text(text) => text.characters(),
            Self::ThoughtAbout(_, value) => thought::max_characters(value.as_str()),
        }
    }
}

impl Body {
    /// Validates what depends on several members, and filters the texts.
    pub fn validate(self, caller: &Caller) -> Result<Request, Error> {
        if self.user_id.is_some_and(|id| !caller.is(&id)) {
            return Err(Error::Forbidden);
        }
        let is_list = self.takes.is_some();
        let single = TakeBody { routine_type: self.routine_type, value: self.value, text: self.text };
        let takes = match self.takes {
            None => vec![single.validate().map_err(|error| match error {
                TakeError::Invalid(fields) => Error::Invalid(fields),
                TakeError::Content(_) => Error::ContentRejected,
            })?],
            Some(_) if !single.is_empty() => {
                let message = "cannot be combined with routine_type, value or text";
                return Err(Error::Invalid(vec![field("takes", message)]));
            }
            Some(Takes(takes)) => validate_list(takes)?,
        };
        Ok(Request {
            takes,
            is_list,
            voice: self.voice,
            settings_override: self.settings_override.unwrap_or_default(),
        })
    }
}

/// Validates every take, and reports each bad field.
fn validate_list(takes: Vec<TakeBody>) -> Result<Vec<Take>, Error> {
    let (mut valid, mut invalid, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    for (at, take) in takes.into_iter().enumerate() {
        let named = |bad: FieldError| FieldError { field: format!("takes[{at}].{}", bad.field), ..bad };
        match take.validate() {
            Ok(take) => valid.push(take),
            Err(TakeError::Invalid(fields)) => invalid.extend(fields.into_iter().map(named)),
            Err(TakeError::Content(bad)) => rejected.push(named(bad)),
        }
    }
    if !invalid.is_empty() {
        return Err(Error::Invalid(invalid));
    }
    if !rejected.is_empty() {
        return Err(Error::ContentRejectedIn(rejected));
    }
    let characters: usize = valid.iter().map(|take| take.text.max_characters()).sum();
    if characters > MAX_CHARACTERS {
        let message = format!(
            "could have {characters} characters in all, and one answer holds {MAX_CHARACTERS}: ask for fewer at once"
        );
        return Err(Error::Invalid(vec![field("takes", &message)]));
    }
    Ok(valid)
}

/// Why a take is invalid; the fields are relative to the take.
enum TakeError {
    Invalid(Vec<FieldError>),
    /// The filter refused this field.
    Content(FieldError),
}

impl TakeBody {
    fn is_empty(&self) -> bool {
        self.routine_type.is_none() && self.value.is_none() && self.text.is_none()
    }

    fn validate(self) -> Result<Take, TakeError> {
        let invalid = |fields: &[&str], message: &str| {
            TakeError::Invalid(fields.iter().map(|name| field(name, message)).collect())
        };
        let speakable = |name: &str, text: String| {
            let rejected =
                |_| TakeError::Content(field(name, "contains words that the content filter refuses"));
            Speakable::check(text).map_err(rejected)
        };
        let text = match (self.text, self.routine_type, self.value) {
            (Some(Text(text)), _, None) => TakeText::Text(speakable("text", text)?),
            (None, Some(routine), Some(SpectatorValue(value))) => {
                TakeText::ThoughtAbout(routine, speakable("value", value)?)
            }
            (Some(_), _, Some(_)) => return Err(invalid(&["text"], "cannot be combined with value")),
            (None, None, None) => {
                let message = "is missing: send routine_type and value, or text";
                return Err(invalid(&["routine_type", "value"], message));
            }
            (None, Some(_), None) => return Err(invalid(&["value"], "is missing")),
            (None, None, Some(_)) => return Err(invalid(&["routine_type"], "is missing")),
        };
        Ok(Take { text, routine: self.routine_type })
    }
}

fn field(field: &str, message: &str) -> FieldError {
    FieldError { field: field.to_owned(), message: message.to_owned() }
}

impl TryFrom<Vec<TakeBody>> for Takes {
    type Error = ValidationError;

    fn try_from(takes: Vec<TakeBody>) -> Result<Self, ValidationError> {
        match takes.len() {
            1..=MAX_TAKES => Ok(Self(takes)),
            _ => Err(ValidationError("must have 1 to 10 takes")),
        }
    }
}

impl TryFrom<String> for Text {
    type Error = ValidationError;

    fn try_from(text: String) -> Result<Self, ValidationError> {
        match text.trim().chars().count() {
            1..=1000 => Ok(Self(text.trim().to_owned())),
            _ => Err(ValidationError("must have 1 to 1000 characters")),
        }
    }
}
