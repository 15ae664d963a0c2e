//! `POST /auth/register`.
//!
//! The account is stored with its activation code under a unique index, so that one write decides a race on the code.
//! The code is marked as used afterwards; after a crash in between, the index still rejects a second registration.

use axum::{extract::State, http::StatusCode};
use deserr::Deserr;
use mongodb::bson::oid::ObjectId;
use shared::{
    activation_codes::{ActivationCode, ActivationCodes},
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationErrors},
    migration::MigrationCheck,
    mongo::Indexes,
    password::{NewPassword, PasswordContext, Passwords},
    rate_limit::{Attempt, RateLimiter, Source},
    security_log::{SecurityEvent, SecurityLog, Subject},
    users::{Email, NewUser, Username, Users},
};
use utoipa::ToSchema;

use crate::tokens::{self, TokenResponse, TokenSigner};

#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct Register {
    username: Username,
    email: Email,
    password: NewPassword,
    #[deserr(rename = "activationCode")]
    #[schema(rename = "activationCode")]
    activation_code: ActivationCode,
}

/// Creates an account and starts its first session. An activation code is good for one account.
#[utoipa::path(
    post,
    path = "/auth/register",
    operation_id = "register",
    request_body = Register,
    responses((status = 201, body = TokenResponse)),
    extensions(("x-codes" = json!(["invalid_activation_code", "activation_code_used", "username_taken", "email_taken", "too_many_attempts", "database_not_migrated"]))),
)]
#[expect(clippy::too_many_arguments, reason = "an extractor each")]
pub async fn register(
    State(users): State<Users>,
    State(codes): State<ActivationCodes>,
    State(passwords): State<Passwords>,
    State(rate_limiter): State<RateLimiter>,
    State(signer): State<TokenSigner>,
    State(migration): State<MigrationCheck>,
    State(security_log): State<SecurityLog>,
    State(indexes): State<Indexes>,
    ip: ClientIp,
    Json(body): Json<Register>,
) -> Result<(StatusCode, Json<TokenResponse>), Error> {
    // A registration reveals whether a code is valid, so it counts as an attempt at one.
    let (issued, (), ()) = tokio::try_join!(
        codes.find(&body.activation_code),
        rate_limiter.check(Attempt::ActivationCode, "", Source::Address(&ip)),
        rate_limiter.check_only(Attempt::TakenName, body.activation_code.as_str(), Source::Anywhere),
    )?;
    let Some(issued) = issued else { return Err(migration.explain(Error::InvalidActivationCode).await) };
    if issued.is_used() {
        return Err(Error::ActivationCodeUsed);
    }
    // Without the indexes, a code could make two accounts. The earlier backend's data may refuse them.
    if let Err(error) = indexes.ensure().await {
        return Err(migration.explain(error.into()).await);
    }
    let id = ObjectId::new();
    let (username, email) = (body.username.to_string(), body.email.to_string());
    let context = PasswordContext { field: "password", user_inputs: &[&username, &email] };
    let password_hash = passwords.hash(body.password, &context).await?;
    let refresh_token = signer.refresh_token(id, &tokens::session_id())?;
    let inserted = users
        .insert(NewUser {
            id,
            username: body.username,
            email: body.email,
            password_hash,
            activation_code: body.activation_code,
            session: users.new_session(&refresh_token),
            device: users.new_device(ip.device_id(id)),
        })
        .await;
    if matches!(inserted, Err(Error::UsernameTaken | Error::EmailTaken)) {
        rate_limiter.check(Attempt::TakenName, &issued.code, Source::Anywhere).await?;
    }
    inserted?;
    let subject = Subject { user_id: Some(id), session_id: Some(refresh_token.session_id()) };
    security_log.record(SecurityEvent::Registered, subject, &ip);
    if let Err(error) = codes.mark_used(&issued.code, id).await {
        // Not a failure: the account exists and owns the code. Deleting the account marks the code again.
        error.log();
    }
    Ok((StatusCode::CREATED, Json(signer.token_response(id, username, email, &refresh_token)?)))
}
