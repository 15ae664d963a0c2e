//! `GET /auth/session`.

use axum::extract::State;
use serde::Serialize;
use shared::{
    clock::rfc3339,
    error::Error,
    json::Json,
    schema::{Id, Timestamp},
    session::Caller,
    users::Users,
};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct SessionResponse {
    #[schema(value_type = Id)]
    user_id: String,
    #[schema(value_type = String, example = "ada")]
    username: String,
    #[schema(example = "ada@example.com")]
    email: String,
    session: SessionTimes,
}

#[derive(Serialize, ToSchema)]
struct SessionTimes {
    #[schema(value_type = Timestamp)]
    created_at: String,
    #[schema(value_type = Timestamp)]
    expires_at: String,
}

/// The signed-in user and when the session expires.
#[utoipa::path(
    get,
    path = "/auth/session",
    operation_id = "getSession",
    responses((status = 200, body = SessionResponse)),
    security(("bearer" = [])),
)]
pub async fn session(State(users): State<Users>, caller: Caller) -> Result<Json<SessionResponse>, Error> {
    let user = users.find_by_session(&caller).await?;
    let session = user
        .sessions
        .into_iter()
        .find(|session| session.id == caller.session_id)
        .ok_or(Error::InvalidToken)?;
    Ok(Json(SessionResponse {
        user_id: user.id.to_hex(),
        username: user.username,
        email: user.email,
        session: SessionTimes {
            created_at: rfc3339(session.created_at),
            expires_at: rfc3339(session.expires_at),
        },
    }))
}
