//! `POST /auth/refresh`.

use axum::extract::State;
use deserr::Deserr;
use shared::{
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationErrors},
    security_log::{SecurityEvent, SecurityLog, Subject},
    users::{RefreshOutcome, RefreshToken, Users},
};
use utoipa::ToSchema;

use crate::tokens::{TokenResponse, TokenSigner};

#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct Refresh {
    refresh_token: String,
}

/// Exchanges a refresh token for new tokens of the same session.
///
/// The old refresh token is dead, but for 60 seconds in which it is answered once more if nothing newer was used: a
/// lost answer signs nobody out. Used later, it ends the session.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    operation_id = "refresh",
    request_body = Refresh,
    responses((status = 200, body = TokenResponse)),
    extensions(("x-codes" = json!(["invalid_refresh_token"]))),
)]
pub async fn refresh(
    State(users): State<Users>,
    State(signer): State<TokenSigner>,
    State(security_log): State<SecurityLog>,
    ip: ClientIp,
    Json(body): Json<Refresh>,
) -> Result<Json<TokenResponse>, Error> {
    let old = RefreshToken::parse(&body.refresh_token).ok_or(Error::InvalidRefreshToken)?;
    let new = signer.refresh_token(old.user_id(), old.session_id())?;
    match users.refresh(&old, &new, signer.is_authentic(&old)).await? {
        RefreshOutcome::Refreshed(user) => {
            signer.token_response(user.id, user.username, user.email, &new).map(Json)
        }
        RefreshOutcome::Reused => {
            let subject = Subject { user_id: Some(old.user_id()), session_id: Some(old.session_id()) };
            security_log.record(SecurityEvent::RefreshReuse, subject, &ip);
            Err(Error::InvalidRefreshToken)
        }
        RefreshOutcome::Invalid => Err(Error::InvalidRefreshToken),
    }
}
