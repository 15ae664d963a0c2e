//! A user's settings, as requests send them and as the database keeps them.
//!
//! [`stored`] reads what any version of the backend wrote.

pub mod stored;

use deserr::Deserr;
use mongodb::bson::Bson;
use serde::{Deserialize, Serialize};
use time::{Date, macros::format_description};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use crate::validation::{ValidationError, ValidationErrors};

/// A user's settings. A PUT replaces them all; a member that is left out gets its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[serde(from = "Bson")]
#[deserr(error = ValidationErrors)]
pub struct Settings {
    /// ISO 639-1.
    #[deserr(default = LanguageCode::default())]
    pub voice_language: LanguageCode,
    /// How the speaker is addressed and described.
    #[deserr(default = SpeakerSex::Male)]
    pub speaker_sex: SpeakerSex,
    /// 0–100; ElevenLabs' `stability` in per cent.
    #[deserr(default = Percent(50))]
    pub voice_stability: Percent,
    /// 0–100; ElevenLabs' `similarity_boost` in per cent.
    #[deserr(default = Percent(75))]
    pub voice_similarity: Percent,
    /// Whether an ambience is mixed under the voice.
    #[deserr(default)]
    pub background_sound: bool,
    /// 0–100.
    #[deserr(default = Percent(30))]
    pub background_volume: Percent,
    /// What the app shows as the voice note's name.
    #[deserr(default)]
    pub voice_note_name: Option<NoteName>,
    /// What the app shows as the voice note's date.
    #[deserr(default)]
    pub voice_note_date: Option<NoteDate>,
    /// Whether the app shows its own default name.
    #[deserr(default)]
    pub voice_note_name_default: bool,
}

/// Settings for one perform. A member that is left out is the user's own.
#[derive(Clone, Debug, Default, Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct SettingsOverride {
    #[deserr(default)]
    voice_language: Option<LanguageCode>,
    #[deserr(default)]
    speaker_sex: Option<SpeakerSex>,
    #[deserr(default)]
    voice_stability: Option<Percent>,
    #[deserr(default)]
    voice_similarity: Option<Percent>,
    #[deserr(default)]
    background_sound: Option<bool>,
    #[deserr(default)]
    background_volume: Option<Percent>,
}

impl Settings {
    #[must_use]
    pub fn with_overrides(self, overrides: SettingsOverride) -> Self {
        Self {
            voice_language: overrides.voice_language.unwrap_or(self.voice_language),
            speaker_sex: overrides.speaker_sex.unwrap_or(self.speaker_sex),
            voice_stability: overrides.voice_stability.unwrap_or(self.voice_stability),
            voice_similarity: overrides.voice_similarity.unwrap_or(self.voice_similarity),
            background_sound: overrides.background_sound.unwrap_or(self.background_sound),
            background_volume: overrides.background_volume.unwrap_or(self.background_volume),
            ..self
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Bson::Null.into()
    }
}

/// The body of a PUT in the API's description: [`Settings`] without required members.
pub struct SettingsBody;

impl PartialSchema for SettingsBody {
    fn schema() -> RefOr<Schema> {
        let mut schema = Settings::schema();
        if let RefOr::T(Schema::Object(settings)) = &mut schema {
            settings.required.clear();
            settings.default = serde_json::to_value(Settings::default()).ok();
        }
        schema
    }
}

impl ToSchema for SettingsBody {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Settings::schemas(schemas);
    }
}

/// ISO 639-1: two lower-case letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Deserr)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
pub struct LanguageCode(String);

impl LanguageCode {
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0
    }
}

impl PartialSchema for LanguageCode {
    fn schema() -> RefOr<Schema> {
        let codes = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(ISO_639_1.split(' ')));
        codes.description(Some("ISO 639-1. Requests may use upper case too.")).into()
    }
}

impl ToSchema for LanguageCode {}

impl Default for LanguageCode {
    fn default() -> Self {
        Self(String::from("en"))
    }
}

impl TryFrom<String> for LanguageCode {
    type Error = ValidationError;

    fn try_from(code: String) -> Result<Self, ValidationError> {
        let code = code.to_ascii_lowercase();
        if ISO_639_1.split(' ').any(|known| known == code) {
            Ok(Self(code))
        } else {
            Err(ValidationError("must be a two-letter ISO 639-1 language code, such as \"en\""))
        }
    }
}

/// <https://www.loc.gov/standards/iso639-2/php/code_list.php>
const ISO_639_1: &str = "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy \
     da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie \
     ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi \
     mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc \
     sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi \
     vo wa wo xh yi yo za zh zu";

/// The speaker's sex, for languages whose grammar depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[serde(rename_all = "lowercase")]
#[deserr(rename_all = lowercase)]
pub enum SpeakerSex {
    Male,
    Female,
}

/// 0 to 100. Fractions are rounded to whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(try_from(f64) = Self::try_from -> ValidationError)]
#[schema(value_type = f64, minimum = 0, maximum = 100, example = 50)]
pub struct Percent(u8);

impl Percent {
    pub const ZERO: Self = Self(0);

    /// 0 to 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// For a number that was stored without validation.
    fn clamped(value: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0–100 before"
        )]
        Self(value.clamp(0.0, 100.0).round() as u8)
    }
}

impl TryFrom<f64> for Percent {
    type Error = ValidationError;

    fn try_from(value: f64) -> Result<Self, ValidationError> {
        if (0.0..=100.0).contains(&value) {
            Ok(Self::clamped(value))
        } else {
            Err(ValidationError("must be a number from 0 to 100"))
        }
    }
}

/// At most 50 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(max_length = 50, example = "The seven of hearts")]
pub struct NoteName(String);

impl TryFrom<String> for NoteName {
    type Error = ValidationError;

    fn try_from(name: String) -> Result<Self, ValidationError> {
        if name.chars().count() <= 50 {
            Ok(Self(name))
        } else {
            Err(ValidationError("must have at most 50 characters"))
        }
    }
}

/// A date, `YYYY-MM-DD`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(format = Date, example = "2026-11-22")]
pub struct NoteDate(String);

impl TryFrom<String> for NoteDate {
    type Error = ValidationError;

    fn try_from(date: String) -> Result<Self, ValidationError> {
        match Date::parse(&date, format_description!("[year]-[month]-[day]")) {
            Ok(_) => Ok(Self(date)),
            Err(_) => Err(ValidationError("must be a date of the form YYYY-MM-DD")),
        }
    }
}
