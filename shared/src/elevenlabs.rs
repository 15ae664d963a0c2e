//! A client of ElevenLabs: creates, uses and deletes voices (<https://elevenlabs.io/docs/api-reference>).
//!
//! When a voice is created and deleted is up to `perform` and `sweep`. Errors are classified by whether the call may
//! have had its effect, because a create with an unknown outcome must never be repeated blindly.

use std::{fmt, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    multipart::{Form, Part},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    content_filter::Speakable,
    deadline::{Deadline, OutOfTime},
    env::{Env, EnvError},
    object_store::Recording,
};

/// One page of a list.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// A call failed.
#[derive(Debug)]
pub enum ElevenLabsError {
    /// ElevenLabs refused; the call had no effect.
    Refused(Refusal),
    /// No connection was made; the call had no effect.
    Unreachable,
    /// The deadline had passed, so nothing was sent.
    OutOfTime,
    /// No response before the deadline. The call may have had its effect.
    TimedOut,
    /// The connection broke without a response. The call may have had its effect, or still have it later.
    Interrupted,
    /// A response that does not say whether the call had its effect, such as a 5xx or a proxy's page: the text says
    /// which. The call has ended.
    Ambiguous(String),
    /// A synthesis had its effect, but what came is not the audio: the text says why.
    BadAudio(String),
}

#[derive(Debug)]
pub struct Refusal {
    pub kind: RefusalKind,
    /// The HTTP status.
    pub status: u16,
    /// ElevenLabs' error code: `detail.status`, else `detail.code`, else empty.
    pub code: String,
}

/// What a refusal means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// All voice slots of the account are in use.
    SlotsFull,
    /// The month's voice creations and edits are used up.
    VoiceEditLimitReached,
    /// The voice does not exist (any more).
    VoiceNotFound,
    /// Overloaded, or too many concurrent calls.
    RateLimited,
    /// The account has no characters left.
    CreditsExhausted,
    /// The recording cannot be cloned: unreadable, damaged or too short.
    SampleRefused,
    /// Anything else: the API key, the plan, the text, the model.
    Other,
}

impl ElevenLabsError {
    /// Whether the call may have had its effect despite the error.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Interrupted | Self::Ambiguous(_))
    }

    /// Whether the call was answered, so that it has no effect any more that it has not had by now.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        !matches!(self, Self::TimedOut | Self::Interrupted)
    }

    #[must_use]
    pub fn refusal(&self) -> Option<RefusalKind> {
        match self {
            Self::Refused(refusal) => Some(refusal.kind),
            _ => None,
        }
    }
}

impl fmt::Display for ElevenLabsError {
    /// For the log: never the provider's free text, which can name voices and repeat what was sent.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Refusal { status, code, .. }) if code.is_empty() => {
                write!(formatter, "refused with {status}")
            }
            Self::Refused(Refusal { status, code, .. }) => write!(formatter, "refused with {status} {code}"),
            Self::Unreachable => formatter.write_str("unreachable"),
            Self::OutOfTime => OutOfTime.fmt(formatter),
            Self::TimedOut => formatter.write_str("timed out"),
            Self::Interrupted => formatter.write_str("outcome unknown: the connection broke"),
            Self::Ambiguous(why) => write!(formatter, "outcome unknown: {why}"),
            Self::BadAudio(why) => write!(formatter, "the audio is not usable: {why}"),
        }
    }
}

impl std::error::Error for ElevenLabsError {}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct ElevenLabs {
    http: Client,
    base_url: String,
    api_key: SecretString,
}

/// A voice that was created.
#[derive(Debug)]
pub struct AddedVoice {
    pub voice_id: String,
    /// Whether a person must verify the voice before it can be used.
    pub requires_verification: bool,
}

/// Audio as it arrives; nothing has judged it yet.
pub struct SpeechStream {
    response: Response,
    /// Whether audio has arrived.
    is_started: bool,
    /// The text and its audio in the account's history.
    pub history_item_id: Option<String>,
}

impl SpeechStream {
    /// The next bytes; `None` after the last.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ElevenLabsError> {
        match self.response.chunk().await {
            Ok(chunk) => {
                self.is_started |= chunk.as_ref().is_some_and(|chunk| !chunk.is_empty());
                Ok(chunk)
            }
            Err(error) if self.is_started && !error.is_timeout() => {
                Err(ElevenLabsError::BadAudio(String::from("the connection broke in the middle")))
            }
            Err(error) => Err(transport_error(&error)),
        }
    }
}

/// A voice of the account.
#[derive(Clone, Debug, Deserialize)]
pub struct ListedVoice {
    pub voice_id: String,
    #[serde(default)]
    pub name: String,
}

/// The body of a synthesis request.
#[derive(Clone, Debug, Serialize)]
pub struct Speech<'a> {
    /// Passed the content filter.
    pub text: &'a Speakable,
    pub model_id: &'a str,
    /// ISO 639-1; models that do not support it reject the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_code: Option<&'a str>,
    /// How the voice behaves.
    pub voice_settings: VoiceSettings,
}

/// Each 0–1.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct VoiceSettings {
    /// Higher is more monotone, lower more expressive.
    pub stability: f64,
    /// How closely the voice follows the recording.
    pub similarity_boost: f64,
}

/// The response of `GET /v1/user/subscription`.
#[derive(Debug, Deserialize)]
pub struct Subscription {
    /// The plan.
    pub tier: String,
    /// Characters used in this period.
    pub character_count: i64,
    /// Characters per period.
    pub character_limit: i64,
    #[serde(default)]
    pub voice_slots_used: Option<i64>,
    /// The maximum number of voices.
    #[serde(default)]
    pub voice_limit: Option<i64>,
    /// Voice creations and edits in this period.
    #[serde(default)]
    pub voice_add_edit_counter: Option<i64>,
    /// Their maximum; null if unlimited.
    #[serde(default)]
    pub max_voice_add_edits: Option<i64>,
    /// When the characters reset, in seconds since the epoch.
    #[serde(default)]
    pub next_character_count_reset_unix: Option<i64>,
}

impl ElevenLabs {
    /// Reads `ELEVENLABS_API_KEY` and `ELEVENLABS_BASE_URL` (default: ElevenLabs).
    pub fn from_env(env: &Env, http: Client) -> Result<Self, EnvError> {
        let base_url = env.get("ELEVENLABS_BASE_URL").unwrap_or("https://api.elevenlabs.io");
        Ok(Self {
            http,
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key: env.secret("ELEVENLABS_API_KEY")?,
        })
    }

    /// Creates a voice with this name from a recording.
    /// <https://elevenlabs.io/docs/api-reference/voices/ivc/create>
    pub async fn add_voice(
        &self,
        name: &str,
        recording: Recording,
        deadline: Deadline,
    ) -> Result<AddedVoice, ElevenLabsError> {
        #[derive(Deserialize)]
        struct Added {
            voice_id: String,
            #[serde(default)]
            requires_verification: Option<bool>,
        }

        let extension = match recording.mime_type.as_str() {
            "audio/mpeg" => "mp3",
            other => other.rsplit('/').next().unwrap_or("audio"),
        };
        let length = u64::try_from(recording.bytes.len()).unwrap_or(u64::MAX);
        let file = Part::stream_with_length(recording.bytes, length)
            .file_name(format!("recording.{extension}"))
            .mime_str(&recording.mime_type)
            .map_err(|_| ElevenLabsError::Ambiguous(String::from("the recording has no media type")))?;
        let form = Form::new()
            .text("name", name.to_owned())
            .text("remove_background_noise", "false")
            .part("files", file);
        let request = self.http.post(self.url("/v1/voices/add")).multipart(form);
        let added: Added = json(self.send(request, deadline).await?).await?;
        // Without an id the voice could not be deleted.
        if !is_id(&added.voice_id) {
            return Err(ElevenLabsError::Ambiguous(String::from("the voice has no usable id")));
        }
        Ok(AddedVoice {
            voice_id: added.voice_id,
            requires_verification: added.requires_verification.unwrap_or(false),
        })
    }

    /// Synthesizes a text as MP3, 44.1 kHz, 128 kbit/s.
    /// <https://elevenlabs.io/docs/api-reference/text-to-speech/convert>
    pub async fn synthesize(
        &self,
        voice_id: &str,
        speech: &Speech<'_>,
        deadline: Deadline,
    ) -> Result<SpeechStream, ElevenLabsError> {
        let request = self
            .http
            .post(self.url(&format!("/v1/text-to-speech/{voice_id}")))
            .query(&[("output_format", "mp3_44100_128")])
            .json(speech);
        let response = self.send(request, deadline).await?;
        let history_item_id = response.headers().get("history-item-id");
        let history_item_id =
            history_item_id.and_then(|id| id.to_str().ok()).filter(|id| is_id(id)).map(str::to_owned);
        Ok(SpeechStream { response, is_started: false, history_item_id })
    }

    /// Deletes a voice. Returns whether it existed; a missing voice counts as success.
    /// <https://elevenlabs.io/docs/api-reference/voices/delete>
    pub async fn delete_voice(&self, voice_id: &str, deadline: Deadline) -> Result<bool, ElevenLabsError> {
        self.delete(&format!("/v1/voices/{voice_id}"), deadline).await
    }

    /// Deletes the text and the audio of a synthesis from the account's history. Returns whether they were there.
    /// <https://elevenlabs.io/docs/api-reference/history/delete>
    pub async fn delete_history_item(&self, id: &str, deadline: Deadline) -> Result<bool, ElevenLabsError> {
        self.delete(&format!("/v1/history/{id}"), deadline).await
    }

    /// Every cloned voice of the account whose name contains `search`, all pages. Entries without a readable name are left
    /// out: they are not ours.
    /// <https://elevenlabs.io/docs/api-reference/voices/search>
    pub async fn cloned_voices(
        &self,
        search: &str,
        deadline: Deadline,
    ) -> Result<Vec<ListedVoice>, ElevenLabsError> {
        let mut voices = Vec::new();
        self.list_cloned_voices(search, deadline, &mut voices).await?;
        Ok(voices)
    }

    /// The same; after an error, `voices` has those of the pages before it. Each page has a time of its own within the
    /// deadline, because an account can have hundreds of voices.
    pub async fn list_cloned_voices(
        &self,
        search: &str,
        deadline: Deadline,
        voices: &mut Vec<ListedVoice>,
    ) -> Result<(), ElevenLabsError> {
        #[derive(Deserialize)]
        struct Page {
            voices: Vec<Value>,
            #[serde(default)]
            has_more: Option<bool>,
            #[serde(default)]
            next_page_token: Option<String>,
        }
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("category", "cloned"), ("page_size", "100"), ("search", search)];
            if let Some(token) = &token {
                query.push(("next_page_token", token));
            }
            let request = self.http.get(self.url("/v2/voices")).query(&query);
            let page: Page = json(self.send(request, deadline.capped_at(PAGE_TIMEOUT)).await?).await?;
            voices.extend(page.voices.into_iter().filter_map(|voice| serde_json::from_value(voice).ok()));
            token = page.next_page_token.filter(|_| page.has_more == Some(true));
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// The account's plan, slots, voice creations and characters.
    /// <https://elevenlabs.io/docs/api-reference/user/subscription/get>
    pub async fn subscription(&self, deadline: Deadline) -> Result<Subscription, ElevenLabsError> {
        json(self.send(self.http.get(self.url("/v1/user/subscription")), deadline).await?).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Deletes something. Returns whether it existed: 404 and 410 say that it does not, whatever their body.
    async fn delete(&self, path: &str, deadline: Deadline) -> Result<bool, ElevenLabsError> {
        let response = self.send_unchecked(self.http.delete(self.url(path)), deadline).await?;
        if [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&response.status()) {
            return Ok(false);
        }
        match check(response).await {
            Ok(_) => Ok(true),
            Err(error) if error.refusal() == Some(RefusalKind::VoiceNotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a request; any status but 2xx is an error.
    async fn send(&self, request: RequestBuilder, deadline: Deadline) -> Result<Response, ElevenLabsError> {
        check(self.send_unchecked(request, deadline).await?).await
    }

    async fn send_unchecked(
        &self,
        request: RequestBuilder,
        deadline: Deadline,
    ) -> Result<Response, ElevenLabsError> {
        let time = deadline.remaining();
        if time.is_zero() {
            return Err(ElevenLabsError::OutOfTime);
        }
        let request = request.header("xi-api-key", self.api_key.expose_secret()).timeout(time);
        request.send().await.map_err(|error| transport_error(&error))
    }
}

/// Whether a text can be an id, and so a part of a path.
fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

async fn check(response: Response) -> Result<Response, ElevenLabsError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.bytes().await.unwrap_or_default();
    Err(refusal(status, &body).map_or_else(
        || ElevenLabsError::Ambiguous(format!("status {}", status.as_u16())),
        ElevenLabsError::Refused,
    ))
}

async fn json<T: for<'de> Deserialize<'de>>(response: Response) -> Result<T, ElevenLabsError> {
    let body = response.bytes().await.map_err(|error| match transport_error(&error) {
        ElevenLabsError::Interrupted => ElevenLabsError::Ambiguous(String::from("the response broke off")),
        error => error,
    })?;
    serde_json::from_slice(&body).map_err(|error| {
        ElevenLabsError::Ambiguous(format!("the response is not as documented: {:?}", error.classify()))
    })
}

fn transport_error(error: &reqwest::Error) -> ElevenLabsError {
    if error.is_connect() {
        ElevenLabsError::Unreachable
    } else if error.is_timeout() {
        ElevenLabsError::TimedOut
    } else {
        ElevenLabsError::Interrupted
    }
}

/// Reads a response as a refusal; `None` if it does not say that the call had no effect.
///
/// Only the provider itself can say so: by a 4xx in its own form, where `detail` has one of four shapes (`{status,
/// message}`, `{type, code, message, status}`, a string, and a list of validation errors), or by a status that is given
/// before the work begins. What a proxy says of a request that it has passed on is no refusal. Refusals are classified by
/// `ElevenLabs`' error code, and without one by the HTTP status.
fn refusal(status: StatusCode, body: &[u8]) -> Option<Refusal> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let detail = &body["detail"];
    let is_sure = match status.as_u16() {
        401 | 402 | 403 | 413 | 422 | 429 => true,
        408 | 409 | 425 | 499 => false,
        400..500 => detail.is_object() || detail.is_string() || detail.is_array(),
        _ => false,
    };
    if !is_sure {
        return None;
    }
    let member = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
    let (state, code) = (member("status"), member("code"));
    let kind = [state.as_str(), code.as_str()]
        .into_iter()
        .find_map(|code| match code {
            "voice_limit_reached" => Some(RefusalKind::SlotsFull),
            "voice_add_edit_limit_reached" => Some(RefusalKind::VoiceEditLimitReached),
            "voice_not_found" | "voice_does_not_exist" | "invalid_uid" => Some(RefusalKind::VoiceNotFound),
            "too_many_concurrent_requests"
            | "concurrent_limit_exceeded"
            | "system_busy"
            | "rate_limit_exceeded" => Some(RefusalKind::RateLimited),
            "invalid_audio"
            | "invalid_sample"
            | "audio_too_short"
            | "voice_sample_too_short"
            | "corrupted_audio_file"
            | "audio_corrupted" => Some(RefusalKind::SampleRefused),
            "quota_exceeded" | "insufficient_credits" => Some(RefusalKind::CreditsExhausted),
            _ => None,
        })
        .unwrap_or(match status {
            StatusCode::TOO_MANY_REQUESTS => RefusalKind::RateLimited,
            StatusCode::PAYMENT_REQUIRED => RefusalKind::CreditsExhausted,
            _ => RefusalKind::Other,
        });
    Some(Refusal { kind, status: status.as_u16(), code: if state.is_empty() { code } else { state } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_is_classified_by_code_first_and_by_status_second() {
        let read = |status: u16, body: &str| refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        let kind = |status: u16, body: &str| read(status, body).unwrap().kind;
        let detail = |word: &str| format!(r#"{{"detail":{{"status":"{word}","message":"…"}}}}"#);
        assert_eq!(kind(400, &detail("voice_limit_reached")), RefusalKind::SlotsFull);
        assert_eq!(kind(400, &detail("voice_add_edit_limit_reached")), RefusalKind::VoiceEditLimitReached);
        assert_eq!(kind(403, &detail("voice_add_edit_limit_reached")), RefusalKind::VoiceEditLimitReached);
        for (status, word) in [(404, "voice_not_found"), (400, "voice_does_not_exist"), (400, "invalid_uid")]
        {
            assert_eq!(kind(status, &detail(word)), RefusalKind::VoiceNotFound);
        }
        assert_eq!(
            kind(
                429,
                r#"{"detail":{"type":"rate","code":"concurrent_limit_exceeded","status":"too_many_concurrent_requests"}}"#
            ),
            RefusalKind::RateLimited
        );
        assert_eq!(kind(429, "<html>"), RefusalKind::RateLimited);
        assert_eq!(kind(404, r#"{"detail":"Not Found"}"#), RefusalKind::Other);
        assert_eq!(
            kind(422, r#"{"detail":[{"type":"missing","loc":["body"],"msg":"…","input":null}]}"#),
            RefusalKind::Other
        );
        for (status, word) in [(401, "quota_exceeded"), (402, "insufficient_credits"), (402, "")] {
            assert_eq!(kind(status, &detail(word)), RefusalKind::CreditsExhausted);
        }
        assert_eq!(kind(413, "<html>"), RefusalKind::Other);

        // A proxy's answers, and those that it may give for a request that it has passed on.
        for (status, body) in [
            (400, "<html>"),
            (404, ""),
            (400, "{}"),
            (400, r#"{"detail":null}"#),
            (408, r#"{"detail":"Request Timeout"}"#),
            (409, &detail("voice_limit_reached")),
            (425, ""),
            (499, ""),
            (500, &detail("voice_limit_reached")),
            (302, ""),
        ] {
            assert!(read(status, body).is_none(), "{status} {body}");
        }
    }
}
