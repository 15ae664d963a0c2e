//! `GET /auth/session`: the login state.

use axum::extract::State;
use serde::Serialize;
use shared::{clock::rfc3339, error::Error, json::Json, session::Caller, users::Users};

/// The answer.
#[derive(Serialize)]
pub struct LoginState {
    user_id: String,
    username: String,
    email: String,
    session: Times,
}

#[derive(Serialize)]
struct Times {
    created_at: String,
    expires_at: String,
}

/// Who is signed in, and until when.
pub async fn session(State(users): State<Users>, caller: Caller) -> Result<Json<LoginState>, Error> {
    let user = users.signed_in(&caller).await?;
    let session = user
        .sessions
        .into_iter()
        .find(|session| session.id == caller.session_id)
        .ok_or(Error::InvalidToken)?;
    Ok(Json(LoginState {
        user_id: user.id.to_hex(),
        username: user.username,
        email: user.email,
        session: Times { created_at: rfc3339(session.created_at), expires_at: rfc3339(session.expires_at) },
    }))
}
