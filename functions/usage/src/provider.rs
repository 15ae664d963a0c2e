//! `GET /usage/provider`, for admins: the account at ElevenLabs.

use std::time::Duration;

use axum::extract::State;
use serde::Serialize;
use shared::{
    deadline::Deadline,
    elevenlabs::{ElevenLabs, Subscription},
    error::Error,
    json::Json,
    schema::Timestamp,
    session::Caller,
    users::Users,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

/// Below the function's timeout in `template.yaml`.
const TIMEOUT: Duration = Duration::from_secs(8);

/// What ElevenLabs does not report is null.
#[derive(Serialize, ToSchema)]
pub struct ProviderAccount {
    tier: String,
    #[schema(required)]
    voice_slots_used: Option<i64>,
    #[schema(required)]
    voice_slots_limit: Option<i64>,
    #[schema(required)]
    voice_add_edits_used: Option<i64>,
    /// Null also where the plan has no limit.
    #[schema(required)]
    voice_add_edits_limit: Option<i64>,
    characters_used: i64,
    characters_limit: i64,
    #[schema(required, value_type = Option<Timestamp>)]
    next_reset: Option<String>,
}

/// The plan of the account at the speech provider, and how much of it is used. Only for admins.
#[utoipa::path(
    get,
    path = "/usage/provider",
    operation_id = "getProviderAccount",
    responses((status = 200, body = ProviderAccount)),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["forbidden", "provider_unavailable"]))),
)]
pub async fn provider(
    State(users): State<Users>,
    State(elevenlabs): State<Option<ElevenLabs>>,
    caller: Caller,
) -> Result<Json<ProviderAccount>, Error> {
    // The role is read from the database, so that revoking it takes effect at once.
    if !users.find_by_session(&caller).await?.is_admin() {
        return Err(Error::Forbidden);
    }
    let elevenlabs = elevenlabs.ok_or_else(|| Error::internal("ELEVENLABS_API_KEY is missing"))?;
    let subscription =
        elevenlabs.subscription(Deadline::after(TIMEOUT)).await.map_err(Error::ProviderUnavailable)?;
    Ok(Json(subscription.into()))
}

impl From<Subscription> for ProviderAccount {
    fn from(subscription: Subscription) -> Self {
        Self {
            tier: subscription.tier,
            voice_slots_used: subscription.voice_slots_used,
            voice_slots_limit: subscription.voice_limit,
            voice_add_edits_used: subscription.voice_add_edit_counter,
            voice_add_edits_limit: subscription.max_voice_add_edits,
            characters_used: subscription.character_count,
            characters_limit: subscription.character_limit,
            next_reset: subscription
                .next_character_count_reset_unix
                .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
                .and_then(|at| at.format(&Rfc3339).ok()),
        }
    }
}
