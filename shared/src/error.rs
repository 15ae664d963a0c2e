//! Everything that can go wrong, and what the caller is told about it.
//!
//! Handlers return `Result<_, Error>` and let `?` carry failures out. Two adjacent matches below give every
//! variant its status and its stable `code`; [`crate::http`] renders the answer as RFC 9457 problem details.
//! Causes are logged once, when the error becomes an answer, and are never part of it.

use std::{borrow::Cow, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{audio::InvalidRecording, elevenlabs::ElevenLabsError, mongo, object_store::S3Error};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not JSON at all.
    #[error("The request body is not valid JSON: {0}.")]
    MalformedJson(String),
    /// The body could not be read to its end.
    #[error("The request body could not be read to its end.")]
    UnreadableBody,
    /// Well-formed JSON with bad values; every bad field is listed.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldError>),
    /// The body is larger than the endpoint takes.
    #[error("The request body is larger than this endpoint takes.")]
    BodyTooLarge,
    /// The body is of a kind that the endpoint does not read.
    #[error("This endpoint reads {0}; set the Content-Type header to match the body.")]
    UnsupportedMediaType(&'static str),
    /// No such path.
    #[error("There is nothing at this path.")]
    NotFound,
    /// The path exists, but not with this method.
    #[error("This path does not answer to this method.")]
    MethodNotAllowed,

    /// No bearer token came with the request.
    #[error("This needs a signed-in user: send the access token as a bearer token.")]
    MissingToken,
    /// The access token is broken, expired, forged, or its session has ended.
    #[error("The access token is not valid, has expired, or its session has ended. Sign in again.")]
    InvalidToken,
    /// The refresh token is unknown, expired, or was used before.
    #[error("The refresh token is not valid, or was used before. Sign in again.")]
    InvalidRefreshToken,
    /// Too many guesses, for this account or from this address.
    #[error("Too many attempts. Wait a few minutes and try again.")]
    TooManyAttempts {
        /// Time until the next attempt is judged.
        retry_in: Duration,
    },
    /// Unknown user or wrong password; never says which.
    #[error("The username or the password is wrong.")]
    InvalidCredentials,
    /// The caller is known, but this is not theirs.
    #[error("This belongs to somebody else, or needs rights that this account does not have.")]
    Forbidden,

    /// The activation code was never issued (or, for a reset, does not belong to that email).
    #[error("The activation code is not valid.")]
    InvalidActivationCode,
    /// The activation code has already made an account.
    #[error("The activation code has already been used.")]
    ActivationCodeUsed,
    /// Another account has this username.
    #[error("This username is taken.")]
    UsernameTaken,
    /// Another account has this email address.
    #[error("This email address is taken.")]
    EmailTaken,

    /// What was uploaded cannot serve as a recording of the user's voice.
    #[error("{0}")]
    InvalidRecording(#[from] InvalidRecording),
    /// There is no recording to clone.
    #[error(
        "There is no recording of your voice yet: upload 30 to 60 seconds of speech to POST /users/me/voice."
    )]
    VoiceRequired,
    /// Another perform of the same user outlasted the wait.
    #[error("Another perform of yours is still running.")]
    PerformInProgress,
    /// The `Idempotency-Key` belongs to another request.
    #[error("This Idempotency-Key was used with another body. Use a fresh key for a new request.")]
    IdempotencyConflict,
    /// The filter refused the input.
    #[error("This text cannot be spoken: it contains words that the content filter refuses.")]
    ContentRejected,
    /// The filter refused these parts of the input.
    #[error("{} cannot be spoken: the content filter refuses some of the words.", names(.0))]
    ContentRejectedIn(Vec<FieldError>),
    /// What was spoken is longer than an answer can hold, beside what stands before it.
    #[error("This take did not fit into the answer any more. It was not charged; ask for fewer at once.")]
    AnswerTooLarge,
    /// The month's characters would not be enough.
    #[error("This month's characters are used up: {remaining} are left and up to {needed} are needed.")]
    QuotaExceeded {
        /// Characters left this month.
        remaining: i64,
        /// Characters that this request could cost at most.
        needed: i64,
        /// Time to the start of the next month.
        resets_in: Duration,
    },
    /// The provider refused to make the clone.
    #[error("The voice provider could not make the voice. Nothing was charged.")]
    CloneFailed(#[source] ElevenLabsError),
    /// The provider made the clone, but would not speak.
    #[error("The voice provider could not speak the text. Nothing was charged.")]
    SynthesisFailed(#[source] ElevenLabsError),
    /// All of this deployment's voice slots were taken for as long as the wait lasted.
    #[error("Every voice slot is in use at the moment. Nothing was charged; try again shortly.")]
    CloneSlotsBusy,
    /// The provider account's voice creations of this month are spent.
    #[error("The voice creations of this month are used up. Nothing was charged.")]
    CloneBudgetExhausted(#[source] ElevenLabsError),
    /// The provider is overloaded or out of reach.
    #[error("The voice provider is not available at the moment. Nothing was charged; try again shortly.")]
    ProviderUnavailable(#[source] ElevenLabsError),
    /// The provider was too slow for the time that this request has.
    #[error("The voice provider was too slow. Nothing was charged; try again shortly.")]
    DeadlineExceeded,

    /// MongoDB failed.
    #[error("The service is not available at the moment; try again shortly.")]
    Mongo(#[from] mongodb::error::Error),
    /// S3 failed.
    #[error("The service is not available at the moment; try again shortly.")]
    S3(#[from] S3Error),
    /// A fault of ours: the text is for the log only.
    #[error("Something went wrong on our side. The request id tells us where.")]
    Internal(Cow<'static, str>),
}

impl Error {
    /// A fault of ours, with a sentence for the log.
    pub fn internal(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Internal(why.into())
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MalformedJson(_) | Self::UnreadableBody => StatusCode::BAD_REQUEST,
            Self::MissingToken
            | Self::InvalidToken
            | Self::InvalidRefreshToken
            | Self::InvalidCredentials => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::ActivationCodeUsed
            | Self::UsernameTaken
            | Self::EmailTaken
            | Self::VoiceRequired
            | Self::PerformInProgress
            | Self::IdempotencyConflict => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_)
            | Self::InvalidActivationCode
            | Self::InvalidRecording(_)
            | Self::ContentRejected
            | Self::ContentRejectedIn(_)
            | Self::AnswerTooLarge => StatusCode::UNPROCESSABLE_ENTITY,
            Self::QuotaExceeded { .. } | Self::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::CloneFailed(_) | Self::SynthesisFailed(_) => StatusCode::BAD_GATEWAY,
            Self::CloneSlotsBusy
            | Self::CloneBudgetExhausted(_)
            | Self::ProviderUnavailable(_)
            | Self::Mongo(_)
            | Self::S3(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The stable word that a program can switch on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MalformedJson(_) => "malformed_json",
            Self::UnreadableBody => "unreadable_body",
            Self::Invalid(_) => "invalid_request",
            Self::BodyTooLarge => "body_too_large",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::MissingToken => "missing_token",
            Self::InvalidToken => "invalid_token",
            Self::InvalidRefreshToken => "invalid_refresh_token",
            Self::InvalidCredentials => "invalid_credentials",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::Forbidden => "forbidden",
            Self::InvalidActivationCode => "invalid_activation_code",
            Self::ActivationCodeUsed => "activation_code_used",
            Self::UsernameTaken => "username_taken",
            Self::EmailTaken => "email_taken",
            Self::InvalidRecording(_) => "invalid_recording",
            Self::VoiceRequired => "voice_required",
            Self::PerformInProgress => "perform_in_progress",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::ContentRejected | Self::ContentRejectedIn(_) => "content_rejected",
            Self::AnswerTooLarge => "answer_too_large",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::CloneFailed(_) => "clone_failed",
            Self::SynthesisFailed(_) => "synthesis_failed",
            Self::CloneSlotsBusy => "clone_slots_busy",
            Self::CloneBudgetExhausted(_) => "clone_budget_exhausted",
            Self::ProviderUnavailable(_) => "provider_unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Mongo(_) | Self::S3(_) => "service_unavailable",
            Self::Internal(_) => "internal_error",
        }
    }

    /// Seconds after which a retry makes sense: on every 409, 429 and 503.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::QuotaExceeded { resets_in, .. } => Some(resets_in.as_secs().max(1)),
            Self::TooManyAttempts { retry_in } => Some(retry_in.as_secs().max(1)),
            Self::CloneBudgetExhausted(_) => Some(24 * 60 * 60),
            Self::CloneSlotsBusy | Self::PerformInProgress => Some(5),
            Self::ProviderUnavailable(_) => Some(10),
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

    /// Logs what the caller is not told: once, at the edge.
    pub fn log(&self) {
        match self {
            Self::Internal(why) => tracing::error!(error = %why, "internal error"),
            Self::Mongo(error) => tracing::error!(error = mongo::redacted(error), "MongoDB failed"),
            Self::S3(error) => tracing::error!(error = %error, "S3 failed"),
            Self::CloneFailed(error)
            | Self::SynthesisFailed(error)
            | Self::CloneBudgetExhausted(error)
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
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// One sentence for a person.
    pub detail: String,
    /// The stable word that a program can switch on.
    pub code: &'static str,
    /// The request's id, as in `X-Request-Id`.
    pub request_id: String,
    /// Every bad field, for 422 `invalid_request` and for takes that the filter refuses; otherwise empty.
    pub errors: Vec<FieldError>,
}

/// One bad member of a request.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, ToSchema)]
pub struct FieldError {
    /// The member's path, such as `settings_override.voice_stability`; empty for the whole body.
    pub field: String,
    /// What is wrong with it, in words.
    pub message: String,
}

impl IntoResponse for Error {
    /// An answer without a body; [`crate::http`] writes the [`Problem`] that it carries.
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
        many => format!("{} fields need attention; see errors.", many.len()),
    }
}
