//! `GET` and `PATCH /users/{user_id}`.

use axum::extract::State;
use deserr::Deserr;
use serde::Serialize;
use shared::{
    clock::rfc3339,
    error::Error,
    json::{Json, ValidationErrors},
    schema::{Id, Timestamp},
    session::Caller,
    settings::Settings,
    users::{Email, User, Username, Users},
};
use utoipa::ToSchema;

use crate::voice_meta::VoiceMeta;

#[derive(Serialize, ToSchema)]
pub struct Profile {
    #[schema(value_type = Id)]
    user_id: String,
    #[schema(example = "ada")]
    username: String,
    #[schema(example = "ada@example.com")]
    email: String,
    #[schema(value_type = Timestamp)]
    created_at: String,
    settings: Settings,
    voice: VoiceMeta,
}

/// A member that is left out stays as it is.
#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct UpdateProfile {
    #[deserr(default)]
    username: Option<Username>,
    #[deserr(default)]
    email: Option<Email>,
}

/// The caller's profile.
#[utoipa::path(
    get,
    path = "/users/{user_id}",
    operation_id = "getProfile",
    responses((status = 200, body = Profile)),
    security(("bearer" = [])),
)]
pub async fn get(State(users): State<Users>, caller: Caller) -> Result<Json<Profile>, Error> {
    users.find_by_session(&caller).await.map(|user| Json(user.into()))
}

/// Changes the caller's username, email address, or both.
#[utoipa::path(
    patch,
    path = "/users/{user_id}",
    operation_id = "updateProfile",
    request_body = UpdateProfile,
    responses((status = 200, body = Profile)),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["username_taken", "email_taken"]))),
)]
pub async fn update(
    State(users): State<Users>,
    caller: Caller,
    Json(body): Json<UpdateProfile>,
) -> Result<Json<Profile>, Error> {
    let user = users.update_profile(&caller, body.username.as_ref(), body.email.as_ref()).await?;
    Ok(Json(user.into()))
}

impl From<User> for Profile {
    fn from(user: User) -> Self {
        Self {
            user_id: user.id.to_hex(),
            voice: VoiceMeta::from(&user),
            username: user.username,
            email: user.email,
            created_at: rfc3339(user.created_at),
            settings: user.settings,
        }
    }
}
