//! The response of a perform: JSON with the audio in base64, or the MP3 alone with the same members in headers. Without
//! the audio it is also stored, for idempotent replay.
//!
//! The types are those that are serialized and stored, and the API's description is derived from them. A member of every
//! response is written in [`PerformMembers`], and one of every take in [`TakeMembers`]; then where those are built, and in
//! [`SingleTake::headers`].

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
    accept::Accept,
    clock::rfc3339,
    error::Error,
    http::RequestId,
    messages::Language,
    schema::{Base64, Timestamp},
    thought::{Routine, ThoughtSource},
};
use utoipa::ToSchema;

use crate::{
    ambience::BackgroundSound,
    metrics::CloneTimes,
    request::{Request, Take, Voice},
    state::AppState,
    takes::{FinishedTake, TakeResults},
};

const JSON: &str = "application/json";
const MP3: &str = "audio/mpeg";

/// One take, or a list if `takes` was sent.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum PerformResponse {
    List(TakeList),
    Single(SingleTake),
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct SingleTake {
    #[serde(flatten)]
    #[schema(inline)]
    perform: PerformMembers,
    #[serde(flatten)]
    #[schema(inline)]
    take: TakeMembers,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakeList {
    #[serde(flatten)]
    #[schema(inline)]
    perform: PerformMembers,
    /// Characters of all texts.
    #[schema(minimum = 0)]
    chars_used_raw: i64,
    /// Characters charged for all texts.
    #[schema(minimum = 0)]
    chars_used_effective: i64,
    /// In the order of the request.
    takes: Vec<TakeOutcome>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
enum TakeOutcome {
    Ok(SuccessfulTake),
    Failed(FailedTake),
}

#[derive(Serialize, Deserialize, ToSchema)]
struct SuccessfulTake {
    #[schema(value_type = String, pattern = "^ok$")]
    status: TakeStatus,
    #[serde(flatten)]
    #[schema(inline)]
    take: TakeMembers,
    /// Length of the MP3. The audio of all takes is stored in one piece, and split by this.
    #[schema(minimum = 1)]
    bytes: i64,
}

/// A take that failed; it is not charged.
#[derive(Serialize, Deserialize, ToSchema)]
struct FailedTake {
    #[schema(value_type = String, pattern = "^failed$")]
    status: TakeStatus,
    /// Machine-readable error code.
    #[schema(example = "synthesis_failed")]
    code: String,
    /// One sentence for a person.
    detail: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TakeStatus {
    Ok,
    Failed,
}

/// The members of every response.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PerformMembers {
    /// Characters spent this month, including this perform.
    #[schema(minimum = 0)]
    char_count: i64,
    /// Characters per month.
    #[schema(minimum = 0)]
    monthly_limit: i64,
    voice_source: VoiceSource,
    /// The id of the request that was performed; a replay has an id of its own in `X-Request-Id`.
    #[serde(rename = "request_id")]
    request_id: String,
    /// Null if there was no clone.
    // Missing in replays that were stored before there were receipts.
    #[serde(default)]
    #[schema(required)]
    receipt: Option<Receipt>,
}

/// What became of the clone.
#[derive(Serialize, Deserialize, ToSchema)]
struct Receipt {
    #[schema(value_type = Timestamp)]
    clone_created_at: String,
    /// Null if the deletion is not confirmed; then the clone is deleted by the next sweep.
    #[schema(required, value_type = Option<Timestamp>)]
    clone_deleted_at: Option<String>,
    /// Whether the text is deleted from the provider's history too.
    history_deleted: bool,
}

impl Receipt {
    fn new(clone: CloneTimes) -> Option<Self> {
        Some(Self {
            clone_created_at: rfc3339(clone.created_at?),
            clone_deleted_at: clone.deleted_at.map(rfc3339),
            history_deleted: clone.history_deleted,
        })
    }
}

/// The members of every take that succeeded.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TakeMembers {
    #[serde(rename = "routine_type")]
    #[schema(required)]
    routine_type: Option<Routine>,
    /// The text that is spoken.
    text: String,
    /// A name for the audio file.
    #[schema(example = "cards.mp3")]
    filename: String,
    /// Who wrote the text; null if the caller did.
    #[schema(required)]
    thought_source: Option<ThoughtSource>,
    // Missing in replays that were stored before there was ambience.
    #[serde(default)]
    #[schema(required)]
    background_sound: BackgroundSound,
    /// Characters of the text.
    #[schema(minimum = 0)]
    chars_used_raw: i64,
    /// Characters charged for the text.
    #[schema(minimum = 0)]
    chars_used_effective: i64,
    /// MP3, 44.1 kHz.
    // `None` until the response is sent: the audio is not stored in the database.
    #[serde(rename = "audio_base64", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Base64, required)]
    audio_base64: Option<String>,
}

/// Whose voice was used.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum VoiceSource {
    /// The user's own, as a clone that has been deleted.
    EphemeralClone,
    /// The stock voice.
    DefaultVoice,
}

impl VoiceSource {
    fn as_str(self) -> &'static str {
        match self {
            Self::EphemeralClone => "ephemeral_clone",
            Self::DefaultVoice => "default_voice",
        }
    }
}

impl From<Voice> for VoiceSource {
    fn from(voice: Voice) -> Self {
        match voice {
            Voice::Own => Self::EphemeralClone,
            Voice::Default => Self::DefaultVoice,
        }
    }
}

impl PerformResponse {
    /// `spent_before` are the characters that the user had spent this month before this perform.
    pub fn new(
        state: &AppState,
        request: &Request,
        takes: &TakeResults,
        clone: CloneTimes,
        spent_before: i64,
        is_charged: bool,
        request_id: &RequestId,
    ) -> Self {
        let mut outcomes = Vec::new();
        let (mut chars_used_raw, mut chars_used_effective) = (0, 0);
        for (number, (take, result)) in (1..).zip(request.takes.iter().zip(takes)) {
            outcomes.push(match result {
                Ok(finished) => {
                    let mut take = TakeMembers::new(state, take, finished, is_charged);
                    chars_used_raw += take.chars_used_raw;
                    chars_used_effective += take.chars_used_effective;
                    if request.is_list {
                        take.filename = format!("{number}-{}", take.filename);
                    }
                    let bytes = i64::try_from(finished.audio.len()).unwrap_or(i64::MAX);
                    TakeOutcome::Ok(SuccessfulTake { status: TakeStatus::Ok, take, bytes })
                }
                Err(error) => TakeOutcome::Failed(FailedTake {
                    status: TakeStatus::Failed,
                    code: error.code().to_owned(),
                    detail: error.to_string(),
                }),
            });
        }
        let perform = PerformMembers {
            // The lease prevents that anything else spends this user's characters meanwhile.
            char_count: spent_before + chars_used_effective,
            monthly_limit: state.quota.monthly_limit,
            voice_source: request.voice.into(),
            request_id: request_id.0.clone(),
            receipt: Receipt::new(clone),
        };
        let is_ok = |outcome: &mut TakeOutcome| matches!(outcome, TakeOutcome::Ok(_));
        if !request.is_list
            && let Some(TakeOutcome::Ok(SuccessfulTake { take, .. })) = outcomes.pop_if(is_ok)
        {
            return Self::Single(SingleTake { perform, take });
        }
        Self::List(TakeList { perform, chars_used_raw, chars_used_effective, takes: outcomes })
    }

    /// Characters charged.
    pub fn charged(&self) -> i64 {
        match self {
            Self::List(list) => list.chars_used_effective,
            Self::Single(single) => single.take.chars_used_effective,
        }
    }

    /// As stored for a replay.
    pub fn to_document(&self) -> Option<Document> {
        mongodb::bson::serialize_to_document(self).ok()
    }

    pub fn from_document(document: Document) -> Result<Self, Error> {
        mongodb::bson::deserialize_from_document(document)
            .map_err(|_| Error::internal("a stored replay cannot be read"))
    }

    /// The response in the media type that `Accept` prefers; a list is always JSON. `audio` is that of all takes,
    /// concatenated.
    pub fn into_response(self, headers: &HeaderMap, mut audio: Bytes) -> Result<Response, Error> {
        match self {
            Self::Single(single) if wants_mp3(headers) => {
                Ok(([(header::CONTENT_TYPE, MP3)], single.headers(), audio).into_response())
            }
            Self::Single(mut single) => {
                single.take.audio_base64 = Some(STANDARD.encode(&audio));
                Ok(axum::Json(single).into_response())
            }
            Self::List(mut list) => {
                let language = Language::from_headers(headers);
                for outcome in &mut list.takes {
                    let (take, bytes) = match outcome {
                        TakeOutcome::Ok(SuccessfulTake { take, bytes, .. }) => (take, bytes),
                        TakeOutcome::Failed(failed) => {
                            failed.detail = language.translate(&failed.detail);
                            continue;
                        }
                    };
                    let bytes = usize::try_from(*bytes).ok().filter(|bytes| *bytes <= audio.len());
                    let bytes =
                        bytes.ok_or_else(|| Error::internal("the stored audio is shorter than its takes"))?;
                    take.audio_base64 = Some(STANDARD.encode(audio.split_to(bytes)));
                }
                Ok(axum::Json(list).into_response())
            }
        }
    }
}

impl SingleTake {
    /// The members as `X-…` headers. The text is percent-encoded, because headers are ASCII.
    fn headers(&self) -> HeaderMap {
        let Self { perform, take } = self;
        let members = [
            ("x-routine-type", take.routine_type.map(Routine::as_str).unwrap_or_default().to_owned()),
            ("x-text", utf8_percent_encode(&take.text, NON_ALPHANUMERIC).to_string()),
            ("x-filename", take.filename.clone()),
            ("x-char-count", perform.char_count.to_string()),
            ("x-monthly-limit", perform.monthly_limit.to_string()),
            ("x-voice-source", perform.voice_source.as_str().to_owned()),
            (
                "x-thought-source",
                take.thought_source.map(ThoughtSource::as_str).unwrap_or_default().to_owned(),
            ),
            ("x-background-sound", take.background_sound.as_str().to_owned()),
            ("x-chars-used-raw", take.chars_used_raw.to_string()),
            ("x-chars-used-effective", take.chars_used_effective.to_string()),
        ];
        members
            .into_iter()
            .filter_map(|(name, value)| {
                Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
            })
            .collect()
    }
}

impl TakeMembers {
    fn new(state: &AppState, take: &Take, finished: &FinishedTake, is_charged: bool) -> Self {
        let characters = finished.text.characters();
        Self {
            routine_type: take.routine,
            text: finished.text.as_str().to_owned(),
            filename: format!("{}.mp3", take.routine.map_or("voice-note", Routine::as_str)),
            thought_source: finished.thought_source,
            background_sound: finished.background_sound,
            chars_used_raw: i64::try_from(characters).unwrap_or(i64::MAX),
            chars_used_effective: if is_charged { state.speech_model.cost(characters) } else { 0 },
            audio_base64: None,
        }
    }
}

fn wants_mp3(headers: &HeaderMap) -> bool {
    Accept::from_headers(headers).preferred(&[JSON, MP3]) == Some(MP3)
}

/// Whether a list can be sent: `false` if the client accepts MP3 and no JSON.
pub fn accepts_list(headers: &HeaderMap) -> bool {
    !wants_mp3(headers) || Accept::from_headers(headers).preference(JSON).is_some()
}
