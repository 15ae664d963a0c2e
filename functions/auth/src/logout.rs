//! `POST /auth/logout`.

use axum::{extract::State, http::StatusCode};
use shared::{error::Error, session::Caller, users::Users};

/// Ends the caller's session: its access and refresh tokens are invalid at once.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "logout",
    responses((status = 204)),
    security(("bearer" = [])),
)]
pub async fn logout(State(users): State<Users>, caller: Caller) -> Result<StatusCode, Error> {
    users.sign_out(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
