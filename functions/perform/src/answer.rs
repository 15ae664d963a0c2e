//! A perform's answer: JSON with the audio in base64, or the MP3 alone with the same facts in headers.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use mongodb::bson::Document;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use shared::{
    content::{Routine, ThoughtSource},
    error::Error,
    http::RequestId,
    quota::Quota,
};

use crate::{perform::Spoken, request::Request};

/// What an answer says beside the audio; also what is stored for a repeated request.
#[derive(Serialize, Deserialize)]
pub struct Facts {
    routine_type: Option<String>,
    text: String,
    filename: String,
    #[serde(rename = "charCount")]
    char_count: i64,
    #[serde(rename = "monthlyLimit")]
    monthly_limit: i64,
    #[serde(rename = "voiceSource")]
    voice_source: String,
    #[serde(rename = "thoughtSource")]
    thought_source: Option<String>,
    #[serde(rename = "charsUsedRaw")]
    chars_used_raw: i64,
    #[serde(rename = "charsUsedEffective")]
    chars_used_effective: i64,
    request_id: String,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    audio_base64: String,
}

impl Facts {
    /// The facts of a perform of a user who had spent so many characters before it, and may not be charged for it.
    pub fn new(
        quota: &Quota,
        request: &Request,
        spoken: &Spoken,
        spent_before: i64,
        is_charged: bool,
        request_id: &RequestId,
    ) -> Self {
        let routine = request.routine.map(Routine::word);
        let characters = spoken.text.characters();
        let cost = if is_charged { quota.cost(characters) } else { 0 };
        Self {
            routine_type: routine.map(str::to_owned),
            text: spoken.text.as_str().to_owned(),
            filename: format!("{}.mp3", routine.unwrap_or("voice-note")),
            // The lease lets nobody else spend this user's characters meanwhile.
            char_count: spent_before + cost,
            monthly_limit: quota.monthly_limit,
            voice_source: request.voice.source().to_owned(),
            thought_source: spoken.thought_source.map(|source| ThoughtSource::word(source).to_owned()),
            chars_used_raw: i64::try_from(characters).unwrap_or(i64::MAX),
            chars_used_effective: cost,
            request_id: request_id.0.clone(),
        }
    }

    /// Characters charged.
    pub fn cost(&self) -> i64 {
        self.chars_used_effective
    }

    /// As stored for a repeated request.
    pub fn stored(&self) -> Option<Document> {
        mongodb::bson::serialize_to_document(self).ok()
    }

    /// As they were stored.
    pub fn read(stored: Document) -> Result<Self, Error> {
        mongodb::bson::deserialize_from_document(stored)
            .map_err(|_| Error::internal("a stored answer cannot be read"))
    }

    /// The facts as `X-…` headers. The text is percent-encoded: headers are ASCII.
    fn headers(&self) -> HeaderMap {
        let facts = [
            ("x-routine-type", self.routine_type.clone().unwrap_or_default()),
            ("x-text", utf8_percent_encode(&self.text, NON_ALPHANUMERIC).to_string()),
            ("x-filename", self.filename.clone()),
            ("x-char-count", self.char_count.to_string()),
            ("x-monthly-limit", self.monthly_limit.to_string()),
            ("x-voice-source", self.voice_source.clone()),
            ("x-thought-source", self.thought_source.clone().unwrap_or_default()),
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

/// The answer in the form that `Accept` asks for; JSON where it does not say.
pub fn answer(headers: &HeaderMap, facts: &Facts, audio: Bytes) -> Response {
    if wants_mp3(headers) {
        let mut response = ([(header::CONTENT_TYPE, "audio/mpeg")], audio).into_response();
        response.headers_mut().extend(facts.headers());
        response
    } else {
        axum::Json(Answer { facts, audio_base64: STANDARD.encode(&audio) }).into_response()
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
