//! The JSON answer in one piece, for the API's description: `facts` and `answer` build it of parts, some of which are
//! stored as well. The tests hold every real answer against it.

#![expect(dead_code, reason = "these types are described and never made")]

use serde::Serialize;
use shared::{
    schema::Base64,
    thought::{Routine, ThoughtSource},
};
use utoipa::ToSchema;

use crate::ambience::BackgroundSound;

/// One audio, or as many as `takes` asked for.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Performed)]
pub enum Answer {
    /// One.
    One(PerformedOnce),
    /// Several.
    Several(PerformedTakes),
}

/// One audio.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PerformedOnce {
    #[serde(rename = "routine_type")]
    #[schema(required)]
    routine_type: Option<Routine>,
    /// What is said.
    text: String,
    /// What the audio may be called.
    #[schema(example = "cards.mp3")]
    filename: String,
    /// Who wrote the text; null if the caller did.
    #[schema(required)]
    thought_source: Option<ThoughtSource>,
    background_sound: BackgroundSound,
    /// Characters of the text.
    #[schema(minimum = 0)]
    chars_used_raw: i64,
    /// Characters charged for it.
    #[schema(minimum = 0)]
    chars_used_effective: i64,
    /// Characters spent this month, these included.
    #[schema(minimum = 0)]
    char_count: i64,
    /// Characters of a month.
    #[schema(minimum = 0)]
    monthly_limit: i64,
    voice_source: VoiceSource,
    /// The id of the request that was performed; a repeated request has another one of its own.
    #[serde(rename = "request_id")]
    request_id: String,
    /// MP3, 44.1 kHz.
    #[serde(rename = "audio_base64")]
    #[schema(value_type = Base64)]
    audio_base64: String,
}

/// Several audios, in the order in which they were asked for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PerformedTakes {
    takes: Vec<PerformedTake>,
    /// Characters of all texts.
    #[schema(minimum = 0)]
    chars_used_raw: i64,
    /// Characters charged for them.
    #[schema(minimum = 0)]
    chars_used_effective: i64,
    /// Characters spent this month, these included.
    #[schema(minimum = 0)]
    char_count: i64,
    /// Characters of a month.
    #[schema(minimum = 0)]
    monthly_limit: i64,
    voice_source: VoiceSource,
    /// The id of the request that was performed; a repeated request has another one of its own.
    #[serde(rename = "request_id")]
    request_id: String,
}

/// What became of one of several takes.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum PerformedTake {
    /// It can be heard.
    Heard(HeardTake),
    /// It cannot.
    Failed(FailedTake),
}

/// A take that can be heard.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeardTake {
    #[schema(pattern = "^ok$")]
    status: String,
    #[serde(rename = "routine_type")]
    #[schema(required)]
    routine_type: Option<Routine>,
    /// What is said.
    text: String,
    /// What the audio may be called.
    #[schema(example = "1-cards.mp3")]
    filename: String,
    /// Who wrote the text; null if the caller did.
    #[schema(required)]
    thought_source: Option<ThoughtSource>,
    background_sound: BackgroundSound,
    /// Characters of the text.
    #[schema(minimum = 0)]
    chars_used_raw: i64,
    /// Characters charged for it.
    #[schema(minimum = 0)]
    chars_used_effective: i64,
    /// The MP3's length.
    #[schema(minimum = 1)]
    bytes: i64,
    /// MP3, 44.1 kHz.
    #[serde(rename = "audio_base64")]
    #[schema(value_type = Base64)]
    audio_base64: String,
}

/// A take that failed; it is not charged.
#[derive(Serialize, ToSchema)]
pub struct FailedTake {
    #[schema(pattern = "^failed$")]
    status: String,
    /// The stable word that a program can switch on.
    #[schema(example = "synthesis_failed")]
    code: String,
    /// One sentence for a person.
    detail: String,
}

/// Whose voice spoke.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VoiceSource {
    /// The user's own, as a clone that is deleted by now.
    EphemeralClone,
    /// The stock voice.
    DefaultVoice,
}
