//! Settings as any version of the backend may have stored them: both generations of the earlier one's members, and
//! mixtures of them.
//!
//! Nothing here fails: a document with one odd value must not lock its user out. What cannot be read has its default.

use mongodb::bson::{Bson, Document};

use super::{LanguageCode, NoteDate, NoteName, Percent, Settings, SpeakerSex};

/// Stored settings, read.
pub struct StoredSettings {
    pub settings: Settings,
    /// Members of an earlier form whose content is in `settings`, so that they are not needed any more.
    pub superseded: Vec<&'static str>,
    /// Members of an earlier form whose content could not be read.
    pub unreadable: Vec<&'static str>,
}

impl From<Bson> for Settings {
    fn from(stored: Bson) -> Self {
        match stored {
            Bson::Document(stored) => StoredSettings::read(&stored).settings,
            _ => StoredSettings::read(&Document::new()).settings,
        }
    }
}

impl StoredSettings {
    #[must_use]
    pub fn read(stored: &Document) -> Self {
        // The earlier generation has no `voice_stability`, and all of its numbers are fractions.
        let only_fractions = stored.get("voice_stability").and_then(number).is_none();
        // A number of either generation under its modern name. Percentages are whole numbers, so a double is a fraction;
        // the whole number 1 may be either.
        let percent = |value: &Bson| {
            let is_fraction = only_fractions || matches!(value, Bson::Double(_));
            if is_fraction { fraction(value) } else { number(value).map(Percent::clamped) }
        };
        let text = |name: &str| stored.get_str(name).ok().map(str::to_owned);
        let mut reader = Reader { stored, superseded: Vec::new(), unreadable: Vec::new() };
        let settings = Settings {
            voice_language: reader
                .member("voice_language", "language", language, language)
                .unwrap_or_default(),
            speaker_sex: reader.member("speaker_sex", "sex", sex, sex).unwrap_or(SpeakerSex::Male),
            voice_stability: reader
                .member("voice_stability", "stability", percent, fraction)
                .unwrap_or(Percent(50)),
            voice_similarity: reader
                .member("voice_similarity", "similarity", percent, fraction)
                .unwrap_or(Percent(75)),
            background_sound: reader
                .member("background_sound", "add_background_sound", Bson::as_bool, Bson::as_bool)
                .unwrap_or(false),
            background_volume: stored.get("background_volume").and_then(percent).unwrap_or(Percent(30)),
            voice_note_name: text("voice_note_name").and_then(|name| NoteName::try_from(name).ok()),
            voice_note_date: text("voice_note_date").and_then(|date| NoteDate::try_from(date).ok()),
            voice_note_name_default: stored.get_bool("voice_note_name_default").unwrap_or(false),
        };
        Self { settings, superseded: reader.superseded, unreadable: reader.unreadable }
    }
}

struct Reader<'a> {
    stored: &'a Document,
    superseded: Vec<&'static str>,
    unreadable: Vec<&'static str>,
}

impl Reader<'_> {
    /// The value of a member, or else of the member that the earlier generation had in its place.
    fn member<T>(
        &mut self,
        modern: &str,
        earlier: &'static str,
        parse_modern: impl Fn(&Bson) -> Option<T>,
        parse_earlier: impl Fn(&Bson) -> Option<T>,
    ) -> Option<T> {
        let earlier_value = self.stored.get(earlier).and_then(|value| {
            let parsed = parse_earlier(value);
            let is_read = parsed.is_some() || *value == Bson::Null;
            if is_read { &mut self.superseded } else { &mut self.unreadable }.push(earlier);
            parsed
        });
        self.stored.get(modern).and_then(parse_modern).or(earlier_value)
    }
}

fn number(value: &Bson) -> Option<f64> {
    let number = match value {
        Bson::Double(number) => *number,
        Bson::Int32(number) => f64::from(*number),
        #[expect(clippy::cast_precision_loss, reason = "far from 0–100 it is clamped anyway")]
        Bson::Int64(number) => *number as f64,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// 0.0–1.0; a larger number is a percentage.
fn fraction(value: &Bson) -> Option<Percent> {
    let value = number(value)?;
    Some(Percent::clamped(if value <= 1.0 { value * 100.0 } else { value }))
}

fn sex(value: &Bson) -> Option<SpeakerSex> {
    match value.as_str()?.trim().to_lowercase().as_str() {
        "female" | "f" => Some(SpeakerSex::Female),
        "male" | "m" => Some(SpeakerSex::Male),
        _ => None,
    }
}

/// A code (`es`, `es-MX`) or a name (`Spanish`, `español`).
fn language(value: &Bson) -> Option<LanguageCode> {
    let text = value.as_str()?.trim().to_lowercase();
    let code = |text: &str| {
        let named = LANGUAGES.iter().find(|(_, names)| names.contains(&text)).map(|(code, _)| *code);
        LanguageCode::try_from(named.unwrap_or(text).to_owned()).ok()
    };
    code(&text).or_else(|| code(text.split(['-', '_', ' ', '(']).next()?))
}

/// The languages of the speech models (<https://elevenlabs.io/docs/overview/models>) in English, and the app's own six
/// in themselves and with their ISO 639-2 codes.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("ar", &["arabic"]),
    ("bg", &["bulgarian"]),
    ("cs", &["czech"]),
    ("da", &["danish"]),
    ("de", &["german", "deutsch", "deu", "ger"]),
    ("el", &["greek"]),
    ("en", &["english", "eng"]),
    ("es", &["spanish", "español", "espanol", "castellano", "spa"]),
    ("fi", &["finnish"]),
    ("tl", &["filipino", "tagalog"]),
    ("fr", &["french", "français", "francais", "fra", "fre"]),
    ("hi", &["hindi"]),
    ("hr", &["croatian"]),
    ("hu", &["hungarian"]),
    ("id", &["indonesian"]),
    ("it", &["italian", "italiano", "ita"]),
    ("ja", &["japanese"]),
    ("ko", &["korean"]),
    ("ms", &["malay"]),
    ("nl", &["dutch"]),
    ("no", &["norwegian"]),
    ("pl", &["polish"]),
    ("pt", &["portuguese", "português", "portugues", "por"]),
    ("ro", &["romanian"]),
    ("ru", &["russian"]),
    ("sk", &["slovak"]),
    ("sv", &["swedish"]),
    ("ta", &["tamil"]),
    ("tr", &["turkish"]),
    ("uk", &["ukrainian"]),
    ("vi", &["vietnamese"]),
    ("zh", &["chinese", "mandarin"]),
];

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;
    use serde_json::{Value, json};

    use super::*;

    fn stored(settings: impl Into<Bson>) -> Value {
        serde_json::to_value(Settings::from(settings.into())).unwrap()
    }

    #[test]
    fn stored_settings_of_the_first_generation_are_read_as_their_modern_equals() {
        let read = stored(doc! {
            "language": "spanish", "stability": 0.7, "voice_similarity": 0.85, "add_background_sound": true,
            "background_volume": 0.5, "sex": "female", "OS": "ios",
        });
        let modern = json!({
            "voice_language": "es", "speaker_sex": "female", "voice_stability": 70, "voice_similarity": 85,
            "background_sound": true, "background_volume": 50, "voice_note_name": null,
            "voice_note_date": null, "voice_note_name_default": false
        });
        assert_eq!(read, modern);
    }

    #[test]
    fn stored_settings_of_today_read_back_as_they_were() {
        for percent in [0, 1, 2, 50, 100] {
            let settings = Settings {
                voice_stability: Percent(percent),
                voice_similarity: Percent(percent),
                background_volume: Percent(percent),
                ..Settings::default()
            };
            let written = mongodb::bson::serialize_to_bson(&settings).unwrap();
            assert_eq!(Settings::from(written), settings);
        }
    }

    #[test]
    fn stored_numbers_are_fractions_if_they_are_doubles_or_nothing_modern_is_beside_them() {
        let similarity = |settings: Document| stored(settings)["voice_similarity"].as_u64().unwrap();
        assert_eq!(similarity(doc! { "voice_stability": 61, "voice_similarity": 0.85 }), 85);
        assert_eq!(similarity(doc! { "voice_stability": 61, "voice_similarity": 1.0 }), 100);
        assert_eq!(similarity(doc! { "voice_stability": 61, "voice_similarity": 77.0 }), 77);
        assert_eq!(similarity(doc! { "voice_stability": 61, "voice_similarity": 1 }), 1);
        assert_eq!(similarity(doc! { "stability": 1, "voice_similarity": 1_i64 }), 100);
        assert_eq!(similarity(doc! { "stability": 0.2, "voice_similarity": 0 }), 0);
        assert_eq!(stored(doc! { "voice_stability": 0.61 })["voice_stability"], 61);
        assert_eq!(stored(doc! { "voice_stability": 61, "stability": 0.2 })["voice_stability"], 61);
    }

    #[test]
    fn stored_languages_are_codes_or_words() {
        for (text, code) in [
            ("english", "en"),
            ("Spanish", "es"),
            (" Español ", "es"),
            ("es", "es"),
            ("pt-BR", "pt"),
            ("en_US", "en"),
            ("FRENCH", "fr"),
            ("Portuguese (Brazil)", "pt"),
            ("ita", "it"),
            ("klingon", "en"),
        ] {
            assert_eq!(stored(doc! { "language": text })["voice_language"], code, "{text}");
        }
        assert_eq!(
            stored(doc! { "voice_language": "klingon", "language": "german" })["voice_language"],
            "de"
        );
        for (code, _) in LANGUAGES {
            assert!(LanguageCode::try_from((*code).to_owned()).is_ok(), "{code}");
        }
    }

    #[test]
    fn stored_values_of_odd_types_become_defaults_and_lock_nobody_out() {
        let read = stored(doc! {
            "voice_language": 7, "language": "es", "voice_stability": "50", "stability": 0.2,
            "background_sound": "yes", "background_volume": [], "speaker_sex": Bson::Null,
            "voice_similarity": f64::NAN, "voice_note_date": "soon",
        });
        assert_eq!(read["voice_language"], "es");
        assert_eq!(read["voice_stability"], 20);
        assert_eq!(read["voice_similarity"], 75);
        assert_eq!(read["background_sound"], false);
        assert_eq!(read["voice_note_date"], json!(null));
        assert_eq!(stored(doc! { "voice_stability": 900 })["voice_stability"], 100);
        for odd in [Bson::Null, Bson::Int32(7), Bson::Array(vec![]), Bson::String(String::from("x"))] {
            assert_eq!(stored(odd), stored(doc! {}));
        }
    }

    #[test]
    fn stored_members_that_were_read_are_superseded_and_others_are_named() {
        let settings = doc! { "language": "klingon", "stability": 0.5, "sex": Bson::Null, "OS": "ios" };
        let read = StoredSettings::read(&settings);
        assert_eq!((read.superseded, read.unreadable), (vec!["sex", "stability"], vec!["language"]));
    }
}
