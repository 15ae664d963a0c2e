//! `GET /usage` and `GET /users/{user_id}/meta`: the characters that the caller has spent this month.

use axum::extract::State;
use serde::Serialize;
use shared::{
    clock::{Clock, rfc3339},
    error::Error,
    json::Json,
    quota::{self, Quota},
    schema::Timestamp,
    session::Caller,
    speech_model::SpeechModel,
    users::Users,
};
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageResponse {
    char_count: i64,
    monthly_limit: i64,
    remaining: i64,
    /// Voice creations of this month: every perform in the user's own voice takes one.
    #[schema(minimum = 0)]
    clones_used: i64,
    /// Voice creations per month.
    #[schema(minimum = 0)]
    clones_limit: i64,
    /// As `2026-11`, in UTC.
    #[schema(pattern = r"^\d{4}-\d{2}$", example = "2026-11")]
    period: String,
    #[schema(value_type = Timestamp)]
    resets_at: String,
    model: String,
    cost_factor: f64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageSummary {
    char_count: i64,
    monthly_limit: i64,
}

/// The characters spent this month, how many remain, and when the month resets.
#[utoipa::path(
    get,
    path = "/usage",
    operation_id = "getUsage",
    responses((status = 200, body = UsageResponse)),
    security(("bearer" = [])),
)]
pub async fn usage(
    State(users): State<Users>,
    State(quota): State<Quota>,
    State(model): State<SpeechModel>,
    State(clock): State<Clock>,
    caller: Caller,
) -> Result<Json<UsageResponse>, Error> {
    let user = users.find_by_session(&caller).await?;
    let char_count = user.usage.current(&clock);
    Ok(Json(UsageResponse {
        char_count,
        clones_used: user.usage.current_clones(&clock),
        clones_limit: user.clone_limit.unwrap_or(quota.monthly_clones),
        monthly_limit: quota.monthly_limit,
        remaining: (quota.monthly_limit - char_count).max(0),
        period: quota::period(clock.now()),
        resets_at: quota::resets_at(&clock).format(&Rfc3339).unwrap_or_else(|_| rfc3339(clock.now())),
        cost_factor: model.cost_factor(),
        model: model.id,
    }))
}

/// The characters spent this month, in short, for the app's header.
#[utoipa::path(
    get,
    path = "/users/{user_id}/meta",
    operation_id = "getUsageInShort",
    responses((status = 200, body = UsageSummary)),
    security(("bearer" = [])),
)]
pub async fn meta(
    State(users): State<Users>,
    State(quota): State<Quota>,
    State(clock): State<Clock>,
    caller: Caller,
) -> Result<Json<UsageSummary>, Error> {
    let char_count = users.find_by_session(&caller).await?.usage.current(&clock);
    Ok(Json(UsageSummary { char_count, monthly_limit: quota.monthly_limit }))
}
