//! What the spectator thinks of, as the request sends it.

use deserr::Deserr;
use utoipa::ToSchema;

use crate::validation::ValidationError;

/// A card, a name, a film: 1 to 500 characters, trimmed. Not filtered yet.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(min_length = 1, max_length = 500, pattern = r"\S", example = "Queen of Hearts")]
pub struct SpectatorValue(pub String);

impl TryFrom<String> for SpectatorValue {
    type Error = ValidationError;

    fn try_from(value: String) -> Result<Self, ValidationError> {
        let value = value.trim();
        match value.chars().count() {
            1..=500 => Ok(Self(value.to_owned())),
            _ => Err(ValidationError("must have 1 to 500 characters")),
        }
    }
}
