//! `GET /usage` and `GET /users/{user_id}/meta`: the caller's characters of this month.

use axum::extract::State;
use serde::Serialize;
use shared::{
    clock::{Clock, rfc3339},
    error::Error,
    json::Json,
    quota::{self, Quota},
    schema::Timestamp,
    session::Caller,
    users::Users,
};
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageNow {
    char_count: i64,
    monthly_limit: i64,
    remaining: i64,
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
pub struct Meta {
    char_count: i64,
    monthly_limit: i64,
}

/// Characters used this month, characters left, and when the count resets.
#[utoipa::path(
    get,
    path = "/usage",
    operation_id = "getUsage",
    responses((status = 200, body = UsageNow)),
    security(("bearer" = [])),
)]
pub async fn usage(
    State(users): State<Users>,
    State(quota): State<Quota>,
    State(clock): State<Clock>,
    caller: Caller,
) -> Result<Json<UsageNow>, Error> {
    let char_count = users.find_by_session(&caller).await?.usage.now(&clock);
    Ok(Json(UsageNow {
        char_count,
        monthly_limit: quota.monthly_limit,
        remaining: (quota.monthly_limit - char_count).max(0),
        period: quota::period(clock.now()),
        resets_at: quota::resets_at(&clock).format(&Rfc3339).unwrap_or_else(|_| rfc3339(clock.now())),
        cost_factor: quota.model.cost_factor(),
        model: quota.model.id,
    }))
}

/// Characters used this month, and the limit.
#[utoipa::path(
    get,
    path = "/users/{user_id}/meta",
    operation_id = "getUsageInShort",
    responses((status = 200, body = Meta)),
    security(("bearer" = [])),
)]
pub async fn meta(
    State(users): State<Users>,
    State(quota): State<Quota>,
    State(clock): State<Clock>,
    caller: Caller,
) -> Result<Json<Meta>, Error> {
    let char_count = users.find_by_session(&caller).await?.usage.now(&clock);
    Ok(Json(Meta { char_count, monthly_limit: quota.monthly_limit }))
}
