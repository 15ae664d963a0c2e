//! The vendor's error responses: <https://elevenlabs.io/docs/developers/resources/error-messages>.
//!
//! They come in four shapes, all of them in use: a full object (`type`, `code`, `message`, `status`,
//! `request_id`), a short one (`status`, `message`), a bare string, and a list of invalid fields. The fake responds with
//! them where the vendor does; as [`Fault`]s they can be injected at any time.

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::super::faults::Fault;
use super::account::random_id;

/// An error response.
#[derive(Debug)]
pub(super) struct ApiError {
    status: u16,
    detail: Value,
}

impl ApiError {
    fn full(status: u16, kind: &str, code: &str, vendor_status: &str, message: &str) -> Self {
        let detail = json!({
            "type": kind, "code": code, "message": message, "status": vendor_status, "request_id": random_id(),
        });
        Self { status, detail }
    }

    fn short(status: u16, vendor_status: &str, message: &str) -> Self {
        Self { status, detail: json!({ "status": vendor_status, "message": message }) }
    }

    pub fn bare(status: u16, detail: &str) -> Self {
        Self { status, detail: detail.into() }
    }

    /// Body validation: `problems` are made with [`problem`].
    pub fn invalid(problems: Vec<Value>) -> Self {
        Self { status: 422, detail: problems.into() }
    }

    fn body(&self) -> Value {
        json!({ "detail": self.detail })
    }

    pub fn needs_authorization() -> Self {
        let message = "Neither authorization header nor xi-api-key received, please provide one.";
        Self::short(401, "needs_authorization", message)
    }

    pub fn invalid_api_key() -> Self {
        Self::full(401, "authentication_error", "unauthorized", "invalid_api_key", "Invalid API key")
    }

    pub fn quota_exceeded(limit: u64, left: u64, cost: u64) -> Self {
        let message = format!(
            "This request exceeds your quota of {limit}. You have {left} credits remaining, while {cost} credits \
             are required for this request."
        );
        Self::short(401, "quota_exceeded", &message)
    }

    pub fn voice_limit_reached(used: usize, limit: usize) -> Self {
        let message = format!(
            "You have reached your maximum amount of custom voices ({used} / {limit}). You can upgrade your \
             subscription to increase your custom voice limit."
        );
        Self::short(400, "voice_limit_reached", &message)
    }

    pub fn voice_add_edit_limit_reached(max: u32) -> Self {
        let message = format!(
            "You have reached your maximum amount of voice add/edit operations ({max} / {max}) of this month."
        );
        Self::short(400, "voice_add_edit_limit_reached", &message)
    }

    pub fn upload_file_size_exceeded() -> Self {
        let message = "One of the uploaded files exceeds the maximum size of 11 MB.";
        Self::short(400, "upload_file_size_exceeded", message)
    }

    pub fn duplicated_files() -> Self {
        Self::short(400, "duplicated_files", "The same file was uploaded more than once.")
    }

    pub fn voice_sample_too_short() -> Self {
        let message = "One of the voice samples is too short.";
        Self::full(400, "validation_error", "audio_too_short", "voice_sample_too_short", message)
    }

    pub fn invalid_audio() -> Self {
        let message = "One of the uploaded files is corrupted or not a supported audio file.";
        Self::full(400, "validation_error", "invalid_audio", "invalid_audio", message)
    }

    /// Ids are letters and digits; other ids are invalid and not looked up.
    pub fn unknown_voice(id: &str) -> Self {
        if id.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            return Self::short(
                404,
                "voice_not_found",
                &format!("A voice with the voice_id {id} was not found."),
            );
        }
        let message = format!("An invalid ID has been received: '{id}'. Make sure to provide a correct one.");
        Self::short(400, "invalid_uid", &message)
    }

    pub fn unknown_history_item(id: &str) -> Self {
        let message = format!("A history item with the ID {id} was not found.");
        Self::short(404, "history_item_not_found", &message)
    }

    pub fn voice_needs_verification() -> Self {
        Self::short(403, "voice_not_verified", "This voice requires verification before it can be used.")
    }

    pub fn premade_voice() -> Self {
        Self::short(400, "voice_not_deletable", "Premade voices cannot be deleted.")
    }

    pub fn model_not_found(id: &str) -> Self {
        Self::short(400, "model_not_found", &format!("A model with model ID {id} does not exist."))
    }

    pub fn text_too_long(characters: usize, limit: usize) -> Self {
        let message = format!(
            "This request's text has {characters} characters and exceeds the character limit of {limit} characters \
             of this model."
        );
        Self::full(400, "validation_error", "text_too_long", "max_character_limit_exceeded", &message)
    }

    pub fn invalid_output_format(format: &str) -> Self {
        let message = format!("Output format {format} is not valid.");
        Self::short(403, "invalid_output_format", &message)
    }

    pub fn output_format_not_allowed(format: &str) -> Self {
        let message = format!("Requested output format {format} is only allowed for Pro tier and above.");
        Self::short(403, "output_format_not_allowed", &message)
    }

    /// A format of the vendor that this fake does not support; the only error that the vendor does not have.
    pub fn unsupported_by_fake(format: &str) -> Self {
        let message =
            format!("The fake supports mp3_44100_* and pcm_* only; {format} needs the real service.");
        Self::short(501, "not_implemented", &message)
    }

    pub fn too_many_concurrent_requests(maximum: usize) -> Self {
        let message = format!(
            "Too many concurrent requests. Your current subscription is associated with a maximum of {maximum} \
             concurrent requests (running in parallel)."
        );
        Self::full(
            429,
            "rate_limit_error",
            "concurrent_limit_exceeded",
            "too_many_concurrent_requests",
            &message,
        )
    }

    /// The machine-readable error code: `detail.status`.
    #[cfg(test)]
    pub fn vendor_status(&self) -> String {
        self.detail["status"].as_str().unwrap_or_default().to_owned()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("an HTTP status");
        (status, Json(self.body())).into_response()
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self::json(error.status, &error.body())
    }
}

/// One invalid field, as pydantic words it: <https://docs.pydantic.dev/latest/errors/validation_errors/>.
pub(super) fn problem(kind: &str, location: &[&str], message: &str, input: &Value) -> Value {
    json!({ "type": kind, "loc": location, "msg": message, "input": input })
}

/// Errors of `ElevenLabs`.
impl Fault {
    /// 401: the key is unknown.
    #[must_use]
    pub fn invalid_api_key() -> Self {
        ApiError::invalid_api_key().into()
    }

    /// 401: the key may not do this.
    #[must_use]
    pub fn missing_permissions() -> Self {
        let message =
            "The API key you used is missing the permission voices_write to execute this operation.";
        ApiError::full(401, "authentication_error", "unauthorized", "missing_permissions", message).into()
    }

    /// 401: the month's characters are used up.
    #[must_use]
    pub fn characters_exhausted() -> Self {
        ApiError::quota_exceeded(100_000, 0, 91).into()
    }

    /// 402: the newer form of [`Self::characters_exhausted`].
    #[must_use]
    pub fn insufficient_credits() -> Self {
        let message = "You have insufficient credits for this request.";
        ApiError::full(402, "payment_required", "insufficient_credits", "insufficient_credits", message)
            .into()
    }

    /// 400: the plan has no instant cloning.
    #[must_use]
    pub fn no_instant_voice_cloning() -> Self {
        let message = "Your subscription has no access to use instant voice cloning, please upgrade.";
        ApiError::full(
            400,
            "payment_required",
            "paid_plan_required",
            "can_not_use_instant_voice_cloning",
            message,
        )
        .into()
    }

    /// 400: every voice slot is taken.
    #[must_use]
    pub fn voice_limit_reached() -> Self {
        ApiError::voice_limit_reached(10, 10).into()
    }

    /// 400: the month's add/edit operations are spent.
    #[must_use]
    pub fn voice_add_edit_limit_reached() -> Self {
        ApiError::voice_add_edit_limit_reached(95).into()
    }

    /// 403: the other form of [`Self::voice_add_edit_limit_reached`].
    #[must_use]
    pub fn voice_add_edit_limit_reached_403() -> Self {
        ApiError { status: 403, ..ApiError::voice_add_edit_limit_reached(95) }.into()
    }

    /// 400: a recording is over 11 MB.
    #[must_use]
    pub fn upload_file_size_exceeded() -> Self {
        ApiError::upload_file_size_exceeded().into()
    }

    /// 400: the same recording twice.
    #[must_use]
    pub fn duplicated_files() -> Self {
        ApiError::duplicated_files().into()
    }

    /// 400: the recording is too short.
    #[must_use]
    pub fn voice_sample_too_short() -> Self {
        ApiError::voice_sample_too_short().into()
    }

    /// 400: the recording cannot be decoded.
    #[must_use]
    pub fn invalid_audio() -> Self {
        ApiError::invalid_audio().into()
    }

    /// 404: no such voice.
    #[must_use]
    pub fn voice_not_found() -> Self {
        ApiError::unknown_voice("gone").into()
    }

    /// 400: an older form of [`Self::voice_not_found`].
    #[must_use]
    pub fn voice_not_found_400() -> Self {
        ApiError { status: 400, ..ApiError::unknown_voice("gone") }.into()
    }

    /// 400: another older form of [`Self::voice_not_found`].
    #[must_use]
    pub fn voice_does_not_exist() -> Self {
        ApiError::short(400, "voice_does_not_exist", "Voice does not exist.").into()
    }

    /// Every form in which the provider, or a proxy before it, says that something does not exist.
    #[must_use]
    pub fn gone_forms() -> Vec<Self> {
        let message = "The requested resource was not found.";
        vec![
            Self::voice_not_found(),
            Self::voice_not_found_400(),
            Self::voice_does_not_exist(),
            Self::invalid_uid(),
            ApiError::full(404, "not_found", "not_found", "not_found", message).into(),
            ApiError::short(404, "not_found", message).into(),
            Self::bare_not_found(),
            ApiError { status: 404, ..ApiError::invalid(vec![]) }.into(),
            Self::empty(404),
            Self::html(404, "<html><body>404 Not Found</body></html>"),
            Self::empty(410),
            ApiError::short(410, "gone", message).into(),
        ]
    }

    /// 200 with what is not the speech: each takes effect, and says that it is `audio/mpeg`.
    #[must_use]
    pub fn no_speech_forms() -> Vec<(&'static str, Self)> {
        let wav: &[u8] = b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x44\xac\0\0\x88\x58\x01\0\x02\0\x10\0data\0\x08\0\0";
        let form = |body: Bytes| Self::bytes("audio/mpeg", body).after_effect();
        vec![
            ("HTML", form(Bytes::from_static(b"<html><body>Please try again later.</body></html>"))),
            ("JSON", form(Bytes::from_static(br#"{"detail":{"status":"internal_error"}}"#))),
            ("zeros", form(Bytes::from(vec![0; 20_000]))),
            ("three bytes", form(Bytes::from_static(b"ID3"))),
            ("nothing", form(Bytes::new())),
            ("WAV", form(Bytes::from([wav, &[0; 2048]].concat()))),
            ("38 MB", form(Bytes::from(vec![0xff; 38_000_000]))),
        ]
    }

    /// The speech under another spelling of its media type.
    #[must_use]
    pub fn speech_labelled(content_type: &'static str) -> Self {
        Self::ContentType(HeaderValue::from_static(content_type))
    }

    /// 200 to a create, with an id that nothing can be deleted by; the voice exists.
    #[must_use]
    pub fn created_without_id() -> Self {
        Self::json(200, &json!({ "voice_id": "", "requires_verification": false })).after_effect()
    }

    /// 400: an id with invalid characters.
    #[must_use]
    pub fn invalid_uid() -> Self {
        ApiError::unknown_voice("not-an-id").into()
    }

    /// 400: no such model.
    #[must_use]
    pub fn model_not_found() -> Self {
        ApiError::model_not_found("eleven_gone").into()
    }

    /// 400: more text than the model takes.
    #[must_use]
    pub fn text_too_long() -> Self {
        ApiError::text_too_long(10_001, 10_000).into()
    }

    /// 403: no such output format.
    #[must_use]
    pub fn invalid_output_format() -> Self {
        ApiError::invalid_output_format("mp3_44100_1").into()
    }

    /// 429 without `Retry-After`: more requests at once than the plan allows.
    #[must_use]
    pub fn too_many_concurrent_requests() -> Self {
        ApiError::too_many_concurrent_requests(5).into()
    }

    /// 429: the provider is overloaded.
    #[must_use]
    pub fn system_busy() -> Self {
        let message = "We are experiencing heavy traffic, please try again.";
        ApiError::full(429, "rate_limit_error", "system_busy", "system_busy", message).into()
    }

    /// 429: too many requests in a short time.
    #[must_use]
    pub fn rate_limit_exceeded() -> Self {
        let message = "Rate limit exceeded.";
        ApiError::full(429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_exceeded", message).into()
    }

    /// 422: a body without `text`.
    #[must_use]
    pub fn unprocessable() -> Self {
        ApiError::invalid(vec![problem("missing", &["body", "text"], "Field required", &json!({}))]).into()
    }

    /// 404 with a bare string.
    #[must_use]
    pub fn bare_not_found() -> Self {
        ApiError::bare(404, "Not Found").into()
    }

    /// 500 with a body that is neither JSON nor HTML.
    #[must_use]
    pub fn internal_server_error() -> Self {
        Self::text(500, "Internal Server Error")
    }
}
