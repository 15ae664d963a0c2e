//! `POST /auth/logout`.

use axum::{extract::State, http::StatusCode};
use shared::{
    client_ip::ClientIp,
    error::Error,
    security_log::{SecurityEvent, SecurityLog},
    session::Caller,
    users::Users,
};

/// Ends the caller's session: its access and refresh tokens are invalid at once.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "logout",
    responses((status = 204)),
    security(("bearer" = [])),
)]
pub async fn logout(
    State(users): State<Users>,
    State(security_log): State<SecurityLog>,
    caller: Caller,
    ip: ClientIp,
) -> Result<StatusCode, Error> {
    users.sign_out(&caller).await?;
    security_log.record(SecurityEvent::SignOut, (&caller).into(), &ip);
    Ok(StatusCode::NO_CONTENT)
}
