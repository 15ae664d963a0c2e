//! The routines of the show: what the spectator thinks of.

use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validation::ValidationError;

/// What kind of thing the spectator thinks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
pub enum Routine {
    /// A playing card.
    Cards,
    /// A number.
    Numbers,
    /// A sign of the zodiac.
    StarSigns,
    /// A fear.
    Phobias,
    /// A year.
    Years,
    /// A person's name.
    Names,
    /// A film.
    Movies,
    /// Anything else.
    Custom,
}

impl Routine {
    /// What its values are, in the prompt.
    pub(super) fn category(self) -> &'static str {
        match self {
            Self::Cards => "a playing card",
            Self::Numbers => "a number",
            Self::StarSigns => "a sign of the zodiac",
            Self::Phobias => "a fear",
            Self::Years => "a year",
            Self::Names => "a person's name",
            Self::Movies => "a film",
            Self::Custom => "something personal",
        }
    }

    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cards => "cards",
            Self::Numbers => "numbers",
            Self::StarSigns => "star-signs",
            Self::Phobias => "phobias",
            Self::Years => "years",
            Self::Names => "names",
            Self::Movies => "movies",
            Self::Custom => "custom",
        }
    }
}

impl TryFrom<String> for Routine {
    type Error = ValidationError;

    fn try_from(word: String) -> Result<Self, ValidationError> {
        match word.as_str() {
            "cards" => Ok(Self::Cards),
            // The app's short forms.
            "numbers" | "nums" => Ok(Self::Numbers),
            "star-signs" | "star" => Ok(Self::StarSigns),
            "phobias" => Ok(Self::Phobias),
            "years" => Ok(Self::Years),
            "names" => Ok(Self::Names),
            "movies" => Ok(Self::Movies),
            "custom" => Ok(Self::Custom),
            _ => Err(ValidationError(
                "must be one of: cards, numbers, star-signs, phobias, years, names, movies, custom",
            )),
        }
    }
}
