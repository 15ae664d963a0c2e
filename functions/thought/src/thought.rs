//! `POST /thought`: generates a short dream narration about a value.

use std::time::Duration;

use axum::extract::State;
use deserr::Deserr;
use serde::Serialize;
use shared::{
    content_filter::Speakable,
    deadline::Deadline,
    error::Error,
    json::{Json, ValidationError, ValidationErrors},
    session::Caller,
    settings::LanguageCode,
    thought::{SpectatorValue, ThoughtSource, Thoughts, Topic},
    users::{Limited, Users},
};
use utoipa::ToSchema;

/// Below the function's timeout in `template.yaml`.
const TIMEOUT: Duration = Duration::from_secs(8);

#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct ThoughtRequest {
    topic: TopicText,
    value: SpectatorValue,
    #[deserr(default)]
    language: Option<LanguageCode>,
}

/// 1–100 characters.
#[derive(Deserr, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(min_length = 1, max_length = 100, pattern = r"\S", example = "a playing card")]
struct TopicText(String);

#[derive(Serialize, ToSchema)]
pub struct ThoughtResponse {
    thought: String,
    source: ThoughtSource,
    language: String,
}

/// Writes a thought in the requested language, or in the one of the user's settings.
#[utoipa::path(
    post,
    path = "/thought",
    operation_id = "writeThought",
    request_body = ThoughtRequest,
    responses((status = 200, body = ThoughtResponse)),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["content_rejected", "too_many_attempts"]))),
)]
pub async fn thought(
    State(users): State<Users>,
    State(thoughts): State<Thoughts>,
    caller: Caller,
    Json(body): Json<ThoughtRequest>,
) -> Result<Json<ThoughtResponse>, Error> {
    let topic = Topic::Custom(Speakable::check(body.topic.0)?);
    let value = Speakable::check(body.value.0)?;
    let user = users.find_and_count(&caller, Limited::Thoughts).await?;
    let language = body.language.unwrap_or(user.settings.voice_language);
    let thought = thoughts.write(topic, &value, &language, Deadline::after(TIMEOUT)).await;
    Ok(Json(ThoughtResponse {
        thought: thought.text.as_str().to_owned(),
        source: thought.source,
        language: thought.language,
    }))
}

impl TryFrom<String> for TopicText {
    type Error = ValidationError;

    fn try_from(topic: String) -> Result<Self, ValidationError> {
        match topic.trim().chars().count() {
            1..=100 => Ok(Self(topic.trim().to_owned())),
            _ => Err(ValidationError("must have 1 to 100 characters")),
        }
    }
}
