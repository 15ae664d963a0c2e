//! `POST /activation/reset-password`.

use axum::{extract::State, http::StatusCode};
use deserr::Deserr;
use shared::{
    activation_codes::ActivationCode,
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationErrors},
    migration::MigrationCheck,
    password::{NewPassword, PasswordContext, Passwords},
    rate_limit::{Attempt, RateLimiter, Source},
    security_log::{SecurityEvent, SecurityLog, Subject},
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

/// Resets a forgotten password with the account's activation code, once per code, and ends every session.
///
/// A wrong email address and a wrong code get the same response.
#[utoipa::path(
    post,
    path = "/activation/reset-password",
    operation_id = "resetPassword",
    request_body = ResetPassword,
    responses((status = 204)),
    extensions(("x-codes" = json!(["invalid_activation_code", "too_many_attempts", "database_not_migrated"]))),
)]
pub async fn reset_password(
    State(users): State<Users>,
    State(passwords): State<Passwords>,
    State(rate_limiter): State<RateLimiter>,
    State(migration): State<MigrationCheck>,
    State(security_log): State<SecurityLog>,
    ip: ClientIp,
    Json(body): Json<ResetPassword>,
) -> Result<StatusCode, Error> {
    let refused = |_: &Error| {
        security_log.record(SecurityEvent::PasswordResetRefused, Subject::default(), &ip);
    };
    let account = body.email.key();
    let attempt = rate_limiter.check(Attempt::PasswordReset, &account, Source::Address(&ip));
    attempt.await.inspect_err(refused)?;
    let email = body.email.to_string();
    let context = PasswordContext { field: "new_password", user_inputs: &[&email] };
    // Hashed before the lookup, so that a wrong address or code takes as long as a right one.
    let hash = passwords.hash(body.new_password, &context).await?;
    match users.reset_password(&body.email, &body.activation_code, &hash).await.inspect_err(refused) {
        Ok(user_id) => {
            let subject = Subject { user_id: Some(user_id), session_id: None };
            security_log.record(SecurityEvent::PasswordReset, subject, &ip);
            Ok(StatusCode::NO_CONTENT)
        }
        Err(error @ Error::InvalidActivationCode) => Err(migration.explain(error).await),
        Err(error) => Err(error),
    }
}
