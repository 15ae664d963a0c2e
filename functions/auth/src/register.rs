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
    password::{NewPassword, PasswordContext, Passwords},
    rate_limit::{Attempt, RateLimiter},
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
pub async fn register(
    State(users): State<Users>,
    State(codes): State<ActivationCodes>,
    State(passwords): State<Passwords>,
    State(rate_limiter): State<RateLimiter>,
    State(signer): State<TokenSigner>,
    State(migration): State<MigrationCheck>,
    ip: ClientIp,
    Json(body): Json<Register>,
) -> Result<(StatusCode, Json<TokenResponse>), Error> {
    // A registration reveals whether a code is valid, so it counts as an attempt at one.
    let (issued, ()) = tokio::try_join!(
        codes.find(&body.activation_code),
        rate_limiter.check_ip(Attempt::ActivationCode, &ip),
    )?;
    let Some(issued) = issued else { return Err(migration.explain(Error::InvalidActivationCode).await) };
    if issued.is_used() {
        return Err(Error::ActivationCodeUsed);
    }
    let id = ObjectId::new();
    let (username, email) = (body.username.to_string(), body.email.to_string());
    let context = PasswordContext { field: "password", user_inputs: &[&username, &email] };
    let password_hash = passwords.hash(body.password, &context).await?;
    let refresh_token = signer.refresh_token(id, &tokens::session_id())?;
    users
        .insert(NewUser {
            id,
            username: body.username,
            email: body.email,
            password_hash,
            activation_code: body.activation_code,
            session: users.new_session(&refresh_token),
        })
        .await?;
    if let Err(error) = codes.mark_used(&issued.code, id).await {
        // Not a failure: the account exists and owns the code. Deleting the account marks the code again.
        error.log();
    }
    Ok((StatusCode::CREATED, Json(signer.token_response(id, username, email, &refresh_token)?)))
}
