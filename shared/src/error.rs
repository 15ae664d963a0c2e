//! The one error type of the handlers, and the response that each error becomes.
//!
//! Handlers return `Result<_, Error>` and errors leave by `?`. One match gives every variant its status and its
//! machine-readable `code`; [`crate::http`] renders the response as RFC 9457 problem details. Causes are logged once,
//! when the error becomes a response, and are never part of it.

use std::{borrow::Cow, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

pub use crate::validation::FieldError;

use crate::{
    audio::InvalidRecording, content_filter::Rejected, elevenlabs::ElevenLabsError, messages::Language,
    mongo, object_store::S3Error,
};

/// `Display` is the `detail` of the response: a sentence for the person in front of the app, without the cause. Each has
/// its translations in `messages/*.json`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// With the place of the mistake, and never a part of the body.
    #[error("What was sent cannot be read: {0}.")]
    MalformedJson(String),
    #[error("The connection broke off before everything had arrived. Please try again.")]
    UnreadableBody,
    /// Well-formed JSON with bad values. Lists every bad field.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldError>),
    #[error("That is more than can be sent at once.")]
    BodyTooLarge,
    /// With the media types that the endpoint accepts.
    #[error("This was sent in a form that cannot be read here: {0} is expected.")]
    UnsupportedMediaType(&'static str),
    #[error("There is nothing here.")]
    NotFound,
    #[error("This cannot be done here.")]
    MethodNotAllowed,

    #[error("Please sign in first.")]
    MissingToken,
    /// Malformed, expired or forged, or its session has ended.
    #[error("You are no longer signed in. Please sign in again.")]
    InvalidToken,
    /// Unknown, expired, or used before.
    #[error("Your session has ended. Please sign in again.")]
    InvalidRefreshToken,
    /// Of this account or from this IP address.
    #[error("Too many attempts. Wait a few minutes and try again.")]
    TooManyAttempts { retry_in: Duration },
    /// Unknown user or wrong password; never says which.
    #[error("The username or the password is wrong.")]
    InvalidCredentials,
    #[error("This belongs to somebody else, or needs rights that this account does not have.")]
    Forbidden,

    /// Never issued, or (on a password reset) not the one of that email address.
    #[error("The activation code is not valid.")]
    InvalidActivationCode,
    #[error("The activation code has already been used.")]
    ActivationCodeUsed,
    #[error("This username is taken.")]
    UsernameTaken,
    #[error("This email address is taken.")]
    EmailTaken,

    #[error("{0}")]
    InvalidRecording(#[from] InvalidRecording),
    #[error(
        "There is no recording of your voice yet: record 30 to 120 seconds of speech first (POST /users/me/voice)."
    )]
    VoiceRequired,
    /// Another perform of the same user held the lease for as long as this one waited.
    #[error("Another perform of yours is still running.")]
    PerformInProgress { retry_in: Duration },
    #[error("This was already sent with other contents. Start a new request.")]
    IdempotencyConflict,
    #[error("This text cannot be spoken: it contains words that the content filter refuses.")]
    ContentRejected,
    /// Rejected by the content filter in these fields.
    #[error("{} cannot be spoken: the content filter refuses some of the words.", names(.0))]
    ContentRejectedIn(Vec<FieldError>),
    /// With the takes before it, the response would exceed what Lambda can return.
    #[error("This take did not fit in the response. It was not charged; ask for fewer at once.")]
    AnswerTooLarge,
    #[error("This month's characters are used up: {remaining} are left and up to {needed} are needed.")]
    QuotaExceeded {
        /// Characters left this month.
        remaining: i64,
        /// Characters that this request may cost at most.
        needed: i64,
        resets_in: Duration,
    },
    #[error("This month's {limit} voice creations are used up: each perform in your own voice takes one.")]
    CloneQuotaExceeded { limit: i64, resets_in: Duration },
    /// The provider refused the recording itself.
    #[error(
        "The voice provider cannot use the recording of your voice: record again and send that (POST /users/me/voice). Nothing was charged."
    )]
    RecordingRefused(#[source] ElevenLabsError),
    #[error("The voice provider could not make the voice. Nothing was charged.")]
    CloneFailed(#[source] ElevenLabsError),
    #[error("The voice provider could not speak the text. Nothing was charged.")]
    SynthesisFailed(#[source] ElevenLabsError),
    /// No slot of this deployment became free while the request waited.
    #[error("Every voice slot is in use at the moment. Nothing was charged; try again shortly.")]
    CloneSlotsBusy { retry_in: Duration },
    /// The provider account has used up its voice creations of this month.
    #[error("The voice creations of this month are used up. Nothing was charged.")]
    CloneBudgetExhausted(#[source] ElevenLabsError),
    /// The provider account has no characters left.
    #[error("The voice provider's account has no characters left. Nothing was charged.")]
    ProviderCreditsExhausted { resets_in: Duration },
    /// It is unknown whether the voice was created; until that is known, this user cannot create another one.
    #[error("The voice provider is not available at the moment. Nothing was charged; try again shortly.")]
    CloneInDoubt {
        #[source]
        cause: ElevenLabsError,
        retry_in: Duration,
    },
    /// Overloaded or unreachable.
    #[error("The voice provider is not available at the moment. Nothing was charged; try again shortly.")]
    ProviderUnavailable(#[source] ElevenLabsError),
    #[error("The voice provider was too slow. Nothing was charged; try again shortly.")]
    DeadlineExceeded,

    /// Not found, and the database is still the earlier backend's: `cargo ops migrate` has not run.
    #[error("The service is being moved to a new system and is not ready yet. Try again later.")]
    DatabaseNotMigrated,
    #[error("The service is not available at the moment; try again shortly.")]
    Mongo(#[from] mongodb::error::Error),
    #[error("The service is not available at the moment; try again shortly.")]
    S3(#[from] S3Error),
    /// A bug or a misconfiguration. The text is for the log only.
    #[error("Something went wrong on our side. The request id tells us where.")]
    Internal(Cow<'static, str>),
}

impl Error {
    /// `why` is for the log only.
    pub fn internal(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Internal(why.into())
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status_and_code().0
    }

    /// The machine-readable error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::MalformedJson(_) => (StatusCode::BAD_REQUEST, "malformed_json"),
            Self::UnreadableBody => (StatusCode::BAD_REQUEST, "unreadable_body"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_request"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::UnsupportedMediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),

            Self::MissingToken => (StatusCode::UNAUTHORIZED, "missing_token"),
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::InvalidRefreshToken => (StatusCode::UNAUTHORIZED, "invalid_refresh_token"),
            Self::TooManyAttempts { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts"),
            Self::InvalidCredentials => (StatusCode::UNAUTHORIZED, "invalid_credentials"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),

            Self::InvalidActivationCode => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_activation_code"),
            Self::ActivationCodeUsed => (StatusCode::CONFLICT, "activation_code_used"),
            Self::UsernameTaken => (StatusCode::CONFLICT, "username_taken"),
            Self::EmailTaken => (StatusCode::CONFLICT, "email_taken"),

            Self::InvalidRecording(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_recording"),
            Self::VoiceRequired => (StatusCode::CONFLICT, "voice_required"),
            Self::PerformInProgress { .. } => (StatusCode::CONFLICT, "perform_in_progress"),
            Self::IdempotencyConflict => (StatusCode::CONFLICT, "idempotency_conflict"),
            Self::ContentRejected | Self::ContentRejectedIn(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "content_rejected")
            }
            Self::AnswerTooLarge => (StatusCode::UNPROCESSABLE_ENTITY, "answer_too_large"),
            Self::QuotaExceeded { .. } => (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded"),
            Self::CloneQuotaExceeded { .. } => (StatusCode::TOO_MANY_REQUESTS, "clone_quota_exceeded"),
            Self::RecordingRefused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "recording_refused"),
            Self::CloneFailed(_) => (StatusCode::BAD_GATEWAY, "clone_failed"),
            Self::SynthesisFailed(_) => (StatusCode::BAD_GATEWAY, "synthesis_failed"),
            Self::CloneSlotsBusy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "clone_slots_busy"),
            Self::CloneBudgetExhausted(_) => (StatusCode::SERVICE_UNAVAILABLE, "clone_budget_exhausted"),
            Self::ProviderCreditsExhausted { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "provider_credits_exhausted")
            }
            Self::ProviderUnavailable(_) | Self::CloneInDoubt { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable")
            }
            Self::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"),

            Self::DatabaseNotMigrated => (StatusCode::SERVICE_UNAVAILABLE, "database_not_migrated"),
            Self::Mongo(_) | Self::S3(_) => (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
        }
    }

    /// Seconds after which a retry makes sense: on every 409, 429 and 503.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::QuotaExceeded { resets_in, .. }
            | Self::CloneQuotaExceeded { resets_in, .. }
            | Self::ProviderCreditsExhausted { resets_in } => Some(resets_in.as_secs().max(1)),
            Self::TooManyAttempts { retry_in } => Some(retry_in.as_secs().max(1)),
            // Rounded up: at the end of the time, and not just before.
            Self::PerformInProgress { retry_in }
            | Self::CloneSlotsBusy { retry_in }
            | Self::CloneInDoubt { retry_in, .. } => Some(retry_in.as_secs() + 1),
            Self::CloneBudgetExhausted(_) => Some(24 * 60 * 60),
            Self::ProviderUnavailable(_) => Some(10),
            Self::DatabaseNotMigrated => Some(60),
            _ => match self.status() {
                StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE => Some(1),
                _ => None,
            },
        }
    }

    /// The challenge that goes with every 401 (RFC 6750, section 3).
    fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::MissingToken | Self::InvalidCredentials => Some(r#"Bearer realm="newvisions""#),
            Self::InvalidToken | Self::InvalidRefreshToken => {
                Some(r#"Bearer realm="newvisions", error="invalid_token""#)
            }
            _ => None,
        }
    }

    /// Logs the cause, which the response does not contain. Called once, when the error becomes a response.
    pub fn log(&self) {
        match self {
            Self::Internal(why) => tracing::error!(error = %why, "internal error"),
            Self::DatabaseNotMigrated => {
                tracing::error!("the database is in the earlier backend's form: run `cargo ops migrate`");
            }
            Self::Mongo(error) => tracing::error!(error = mongo::redacted(error), "MongoDB failed"),
            Self::S3(error) => tracing::error!(error = %error, "S3 failed"),
            Self::RecordingRefused(error)
            | Self::CloneFailed(error)
            | Self::SynthesisFailed(error)
            | Self::CloneBudgetExhausted(error)
            | Self::CloneInDoubt { cause: error, .. }
            | Self::ProviderUnavailable(error) => {
                tracing::warn!(error = %error, code = self.code(), "ElevenLabs failed");
            }
            _ => tracing::debug!(code = self.code(), "request refused"),
        }
    }
}

/// Problem details (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Problem {
    /// A URI reference that names the kind of problem.
    pub r#type: String,
    pub title: &'static str,
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// One sentence for a person.
    pub detail: String,
    /// The machine-readable error code.
    pub code: &'static str,
    /// The request's id, as in `X-Request-Id`.
    pub request_id: String,
    /// Every bad field, for 422 `invalid_request` and for takes that the content filter rejects; otherwise empty.
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// `code` stays; what is for a person is translated.
    pub(crate) fn translate(&mut self, language: Language) {
        for error in &mut self.errors {
            error.message = language.translate(&error.message);
        }
        self.detail = match self.errors.as_slice() {
            [one] if self.code == Error::Invalid(Vec::new()).code() => summary(std::slice::from_ref(one)),
            _ => language.translate(&self.detail),
        };
    }
}

impl From<Rejected> for Error {
    fn from(Rejected: Rejected) -> Self {
        Self::ContentRejected
    }
}

impl IntoResponse for Error {
    /// A response without a body that carries a [`Problem`]; [`crate::http`] renders it.
    fn into_response(self) -> Response {
        self.log();
        let status = self.status();
        let mut response = status.into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge() {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response.extensions_mut().insert(Problem {
            r#type: format!("urn:newvisions:problem:{}", self.code()),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.to_string(),
            code: self.code(),
            request_id: String::new(),
            errors: match self {
                Self::Invalid(errors) | Self::ContentRejectedIn(errors) => errors,
                _ => Vec::new(),
            },
        });
        response
    }
}

fn names(errors: &[FieldError]) -> String {
    errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>().join(", ")
}

fn summary(errors: &[FieldError]) -> String {
    match errors {
        [one] => format!("{}: {}", one.field, one.message),
        many => format!("{} fields need attention.", many.len()),
    }
}
