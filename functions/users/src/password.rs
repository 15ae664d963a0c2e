//! `PUT /users/{user_id}/password`.

use axum::{extract::State, http::StatusCode};
use deserr::Deserr;
use shared::{
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationErrors},
    password::{NewPassword, PasswordContext, PasswordInput, Passwords},
    security_log::{SecurityEvent, SecurityLog},
    session::Caller,
    users::Users,
};
use utoipa::ToSchema;

use crate::reauth::Reauthenticator;

#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct ChangePassword {
    current_password: PasswordInput,
    new_password: NewPassword,
}

/// Changes the caller's password and ends every other session.
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
    State(reauthenticator): State<Reauthenticator>,
    State(security_log): State<SecurityLog>,
    caller: Caller,
    ip: ClientIp,
    Json(body): Json<ChangePassword>,
) -> Result<StatusCode, Error> {
    let user = users.find_by_session(&caller).await?;
    reauthenticator.verify_password(&caller, &user, &body.current_password, &ip).await?;
    let context = PasswordContext { field: "new_password", user_inputs: &[&user.username, &user.email] };
    users.change_password(&caller, &passwords.hash(body.new_password, &context).await?).await?;
    security_log.record(SecurityEvent::PasswordChanged, (&caller).into(), &ip);
    Ok(StatusCode::NO_CONTENT)
}
