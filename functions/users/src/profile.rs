//! `GET` and `PATCH /users/{user_id}`.

use axum::extract::State;
use deserr::Deserr;
use serde::Serialize;
use shared::{
    client_ip::ClientIp,
    clock::rfc3339,
    error::Error,
    json::{Json, ValidationErrors},
    password::PasswordInput,
    schema::{Id, Timestamp},
    security_log::{SecurityEvent, SecurityLog},
    session::Caller,
    settings::Settings,
    users::{Email, Limited, User, Username, Users},
};
use utoipa::ToSchema;

use crate::{reauth::Reauthenticator, voice_body::invalid, voice_meta::VoiceMeta};

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
    /// Needed to change the email address, which can be used to sign in and to reset the password.
    #[deserr(default)]
    current_password: Option<PasswordInput>,
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
    extensions(("x-codes" = json!(["username_taken", "email_taken", "invalid_credentials", "too_many_attempts"]))),
)]
pub async fn update(
    State(users): State<Users>,
    State(reauthenticator): State<Reauthenticator>,
    State(security_log): State<SecurityLog>,
    caller: Caller,
    ip: ClientIp,
    Json(body): Json<UpdateProfile>,
) -> Result<Json<Profile>, Error> {
    let user = users.find_and_count(&caller, Limited::ProfileChanges).await?;
    let changes_email = body.email.as_ref().is_some_and(|email| user.email_key != Some(email.key()));
    if changes_email {
        let password = body.current_password.ok_or_else(|| {
            invalid("current_password", "is missing: changing the email address needs your password")
        })?;
        reauthenticator.verify_password(&caller, &user, &password, &ip).await?;
    }
    let user = users.update_profile(&caller, body.username.as_ref(), body.email.as_ref()).await?;
    if changes_email {
        security_log.record(SecurityEvent::EmailChanged, (&caller).into(), &ip);
    }
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
