//! A perform's answer: JSON with the audio in base64, or the MP3 alone with the same facts in headers.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use shared::error::Error;

use crate::facts::{Facts, One, Outcome, Several, Total};

#[derive(Serialize)]
struct OneAnswer<'a> {
    #[serde(flatten)]
    facts: &'a One,
    audio_base64: String,
}

#[derive(Serialize)]
struct SeveralAnswer<'a> {
    #[serde(flatten)]
    total: &'a Total,
    takes: Vec<TakeAnswer<'a>>,
}

#[derive(Serialize)]
struct TakeAnswer<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_base64: Option<String>,
}

/// The answer in the form that `Accept` asks for; JSON where it does not say, and of several takes always. `audio` is
/// that of all takes, one after the other.
pub fn answer(headers: &HeaderMap, facts: &Facts, audio: Bytes) -> Result<Response, Error> {
    match facts {
        Facts::One(one) if wants_mp3(headers) => {
            let mut response = ([(header::CONTENT_TYPE, "audio/mpeg")], audio).into_response();
            response.headers_mut().extend(in_headers(one));
            Ok(response)
        }
        Facts::One(facts) => {
            Ok(axum::Json(OneAnswer { facts, audio_base64: STANDARD.encode(&audio) }).into_response())
        }
        Facts::Several(several) => Ok(axum::Json(several_answer(several, audio)?).into_response()),
    }
}

fn several_answer(several: &Several, mut audio: Bytes) -> Result<SeveralAnswer<'_>, Error> {
    let mut takes = Vec::new();
    for outcome in &several.takes {
        let audio_base64 = match outcome {
            Outcome::Ok { bytes, .. } => {
                let bytes = usize::try_from(*bytes).ok().filter(|bytes| *bytes <= audio.len());
                let bytes =
                    bytes.ok_or_else(|| Error::internal("the audio of several takes is too short"))?;
                Some(STANDARD.encode(audio.split_to(bytes)))
            }
            Outcome::Failed { .. } => None,
        };
        takes.push(TakeAnswer { outcome, audio_base64 });
    }
    Ok(SeveralAnswer { total: &several.total, takes })
}

/// The facts as `X-…` headers. The text is percent-encoded: headers are ASCII.
fn in_headers(One { common, take }: &One) -> HeaderMap {
    let facts = [
        ("x-routine-type", take.routine_type.clone().unwrap_or_default()),
        ("x-text", utf8_percent_encode(&take.text, NON_ALPHANUMERIC).to_string()),
        ("x-filename", take.filename.clone()),
        ("x-char-count", common.char_count.to_string()),
        ("x-monthly-limit", common.monthly_limit.to_string()),
        ("x-voice-source", common.voice_source.clone()),
        ("x-thought-source", take.thought_source.clone().unwrap_or_default()),
        ("x-background-sound", take.background_sound.word().to_owned()),
        ("x-chars-used-raw", take.chars_used_raw.to_string()),
        ("x-chars-used-effective", take.chars_used_effective.to_string()),
    ];
    facts
        .into_iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)))
        .collect()
}

/// Whether `audio/mpeg` is named and JSON is not named before it.
fn wants_mp3(headers: &HeaderMap) -> bool {
    accepted(headers)
        .find_map(|range| match range.as_str() {
            "audio/mpeg" | "audio/*" => Some(true),
            "application/json" => Some(false),
            _ => None,
        })
        .unwrap_or(false)
}

/// Whether the client takes JSON: nothing but audio is named by one that does not.
pub fn accepts_json(headers: &HeaderMap) -> bool {
    !wants_mp3(headers)
        || accepted(headers).any(|range| ["application/json", "*/*"].contains(&range.as_str()))
}

/// What `Accept` names, in its order, in lower case and without parameters.
fn accepted(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
