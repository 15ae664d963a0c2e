//! `GET` and `PUT /users/{user_id}/settings`.

use axum::extract::State;
use shared::{
    error::Error,
    json::Json,
    session::Caller,
    settings::{Settings, SettingsBody},
    users::Users,
};

/// The caller's settings.
#[utoipa::path(
    get,
    path = "/users/{user_id}/settings",
    operation_id = "getSettings",
    responses((status = 200, body = Settings)),
    security(("bearer" = [])),
)]
pub async fn get(State(users): State<Users>, caller: Caller) -> Result<Json<Settings>, Error> {
    users.find_by_session(&caller).await.map(|user| Json(user.settings))
}

/// Replaces the caller's settings. A member that the body leaves out gets its default.
#[utoipa::path(
    put,
    path = "/users/{user_id}/settings",
    operation_id = "replaceSettings",
    request_body = SettingsBody,
    responses((status = 200, body = Settings)),
    security(("bearer" = [])),
)]
pub async fn replace(
    State(users): State<Users>,
    caller: Caller,
    Json(settings): Json<Settings>,
) -> Result<Json<Settings>, Error> {
    users.set_settings(&caller, &settings).await?;
    Ok(Json(settings))
}
