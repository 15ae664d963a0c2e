//! `GET /usage/provider` (admin): what is left of the account at ElevenLabs.

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

/// Shorter than the function's timeout.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Null where ElevenLabs does not say.
#[derive(Serialize, ToSchema)]
pub struct Account {
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

/// The ElevenLabs plan, and what is used of it. For admins only.
#[utoipa::path(
    get,
    path = "/usage/provider",
    operation_id = "getProviderAccount",
    responses((status = 200, body = Account)),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["forbidden", "provider_unavailable"]))),
)]
pub async fn provider(
    State(users): State<Users>,
    State(elevenlabs): State<Option<ElevenLabs>>,
    caller: Caller,
) -> Result<Json<Account>, Error> {
    if !users.find_by_session(&caller).await?.is_admin() {
        return Err(Error::Forbidden);
    }
    let elevenlabs = elevenlabs.ok_or_else(|| Error::internal("ELEVENLABS_API_KEY is missing"))?;
    let subscription =
        elevenlabs.subscription(Deadline::after(TIMEOUT)).await.map_err(Error::ProviderUnavailable)?;
    Ok(Json(subscription.into()))
}

impl From<Subscription> for Account {
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
