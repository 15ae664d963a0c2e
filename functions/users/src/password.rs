//! `PUT /users/{user_id}/password`.

use axum::{extract::State, http::StatusCode};
use deserr::Deserr;
use shared::{
    attempts::Source,
    error::Error,
    json::{Invalid, Json},
    password::{ClaimedPassword, NewPassword, Passwords, Purpose},
    session::Caller,
    users::Users,
};
use utoipa::ToSchema;

use crate::owner::Owner;

/// The body.
#[derive(Deserr, ToSchema)]
#[deserr(error = Invalid)]
pub struct ChangePassword {
    current_password: ClaimedPassword,
    new_password: NewPassword,
}

/// Changes the caller's password; every other session ends.
#[utoipa::path(
    put,
    path = "/users/{user_id}/password",
    operation_id = "changePassword",
    request_body = ChangePassword,
    responses((status = 204)),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["invalid_credentials", "too_many_attempts"]))),
)]
pub async fn change(
    State(users): State<Users>,
    State(passwords): State<Passwords>,
    State(owner): State<Owner>,
    caller: Caller,
    source: Source,
    Json(body): Json<ChangePassword>,
) -> Result<StatusCode, Error> {
    let user = users.signed_in(&caller).await?;
    owner.confirm(&caller, &user, &body.current_password, &source).await?;
    let purpose = Purpose { field: "new_password", about: &[&user.username, &user.email] };
    users.change_password(&caller, &passwords.hash(body.new_password, &purpose).await?).await?;
    Ok(StatusCode::NO_CONTENT)
}
