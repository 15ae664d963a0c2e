//! `POST /activation/reset-password`: a forgotten password, once per activation code.

use axum::{extract::State, http::StatusCode};
use deserr::Deserr;
use shared::{
    activation_codes::ActivationCode,
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationErrors},
    password::{NewPassword, PasswordContext, Passwords},
    rate_limit::{Attempt, RateLimiter},
    users::{Email, Users},
};
use utoipa::ToSchema;

#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct ResetPassword {
    email: Email,
    activation_code: ActivationCode,
    new_password: NewPassword,
}

/// Sets a new password and ends every session. A wrong email and a wrong code are indistinguishable.
#[utoipa::path(
    post,
    path = "/activation/reset-password",
    operation_id = "resetPassword",
    request_body = ResetPassword,
    responses((status = 204)),
    extensions(("x-codes" = json!(["invalid_activation_code", "too_many_attempts"]))),
)]
pub async fn reset_password(
    State(users): State<Users>,
    State(passwords): State<Passwords>,
    State(attempts): State<RateLimiter>,
    ip: ClientIp,
    Json(body): Json<ResetPassword>,
) -> Result<StatusCode, Error> {
    attempts.on_account(Attempt::PasswordReset, &body.email.key(), &ip).await?;
    let email = body.email.to_string();
    let context = PasswordContext { field: "new_password", user_inputs: &[&email] };
    let hash = passwords.hash(body.new_password, &context).await?;
    users.reset_password(&body.email, &body.activation_code, &hash).await?;
    Ok(StatusCode::NO_CONTENT)
}
