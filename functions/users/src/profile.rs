//! `GET` and `PATCH /users/{user_id}`.

use axum::extract::State;
use deserr::Deserr;
use serde::Serialize;
use shared::{
    clock::rfc3339,
    error::Error,
    json::{Invalid, Json},
    session::Caller,
    settings::Settings,
    users::{Email, User, Username, Users},
};

use crate::meta::VoiceMeta;

/// The answer of both.
#[derive(Serialize)]
pub struct Profile {
    user_id: String,
    username: String,
    email: String,
    created_at: String,
    settings: Settings,
    voice: VoiceMeta,
}

/// The body of the `PATCH`; what is left out stays.
#[derive(Deserr)]
#[deserr(error = Invalid)]
pub struct Rename {
    #[deserr(default)]
    username: Option<Username>,
    #[deserr(default)]
    email: Option<Email>,
}

/// The caller's profile.
pub async fn show(State(users): State<Users>, caller: Caller) -> Result<Json<Profile>, Error> {
    users.signed_in(&caller).await.map(|user| Json(user.into()))
}

/// Changes the caller's username, email address, or both.
pub async fn rename(
    State(users): State<Users>,
    caller: Caller,
    Json(body): Json<Rename>,
) -> Result<Json<Profile>, Error> {
    let user = users.rename(&caller, body.username.as_ref(), body.email.as_ref()).await?;
    Ok(Json(user.into()))
}

impl From<User> for Profile {
    fn from(user: User) -> Self {
        Self {
            user_id: user.id.to_hex(),
            voice: VoiceMeta::of(&user),
            username: user.username,
            email: user.email,
            created_at: rfc3339(user.created_at),
            settings: user.settings,
        }
    }
}
