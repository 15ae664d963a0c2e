//! A perform's answer: JSON with the audio in base64, or the MP3 alone with the same facts in headers.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

use shared::content::ThoughtSource;

use crate::{perform::Performed, request::Voice};

#[derive(Serialize)]
struct Facts {
    routine_type: Option<&'static str>,
    text: String,
    audio_base64: String,
    filename: String,
    #[serde(rename = "charCount")]
    char_count: i64,
    #[serde(rename = "monthlyLimit")]
    monthly_limit: i64,
    #[serde(rename = "voiceSource")]
    voice_source: &'static str,
    #[serde(rename = "thoughtSource")]
    thought_source: Option<&'static str>,
    #[serde(rename = "charsUsedRaw")]
    chars_used_raw: usize,
    #[serde(rename = "charsUsedEffective")]
    chars_used_effective: i64,
    request_id: String,
}

/// The answer in the form that `Accept` asks for; JSON where it does not say.
pub fn answer(headers: &HeaderMap, performed: Performed) -> Response {
    let Performed {
        text,
        thought_source,
        audio,
        voice,
        routine,
        cost,
        char_count,
        monthly_limit,
        request_id,
    } = performed;
    let facts = Facts {
        routine_type: routine,
        chars_used_raw: text.characters(),
        text: text.as_str().to_owned(),
        audio_base64: String::new(),
        filename: format!("{}.mp3", routine.unwrap_or("voice-note")),
        char_count,
        monthly_limit,
        voice_source: match voice {
            Voice::Own => "ephemeral_clone",
            Voice::Default => "default_voice",
        },
        thought_source: thought_source.map(ThoughtSource::word),
        chars_used_effective: cost,
        request_id: request_id.0,
    };
    if wants_mp3(headers) {
        let mut response = ([(header::CONTENT_TYPE, "audio/mpeg")], audio).into_response();
        response.headers_mut().extend(facts.headers());
        response
    } else {
        axum::Json(Facts { audio_base64: STANDARD.encode(&audio), ..facts }).into_response()
    }
}

/// Whether `audio/mpeg` is named and JSON is not named before it.
fn wants_mp3(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        .find_map(|range| match range.as_str() {
            "audio/mpeg" | "audio/*" => Some(true),
            "application/json" => Some(false),
            _ => None,
        })
        .unwrap_or(false)
}

impl Facts {
    /// The facts as `X-…` headers. The text is percent-encoded: headers are ASCII.
    fn headers(&self) -> HeaderMap {
        let facts = [
            ("x-routine-type", self.routine_type.unwrap_or_default().to_owned()),
            (
                "x-text",
                percent_encoding::utf8_percent_encode(&self.text, percent_encoding::NON_ALPHANUMERIC)
                    .to_string(),
            ),
            ("x-filename", self.filename.clone()),
            ("x-char-count", self.char_count.to_string()),
            ("x-monthly-limit", self.monthly_limit.to_string()),
            ("x-voice-source", self.voice_source.to_owned()),
            ("x-thought-source", self.thought_source.unwrap_or_default().to_owned()),
            ("x-chars-used-raw", self.chars_used_raw.to_string()),
            ("x-chars-used-effective", self.chars_used_effective.to_string()),
        ];
        facts
            .into_iter()
            .filter_map(|(name, value)| {
                Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
            })
            .collect()
    }
}
