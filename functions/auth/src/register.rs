//! `POST /auth/register`: one activation code makes one account.
//!
//! The account is stored with its code under a unique index, so any race is decided by that one write; marking
//! the code as used comes after it. A crash in between loses nothing: the index still knows.

use axum::extract::State;
use axum::http::StatusCode;
use deserr::Deserr;
use mongodb::bson::oid::ObjectId;
use shared::{
    activation_codes::{ActivationCode, ActivationCodes},
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationErrors},
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

/// Creates an account with an activation code and signs it in.
#[utoipa::path(
    post,
    path = "/auth/register",
    operation_id = "register",
    request_body = Register,
    responses((status = 201, body = TokenResponse)),
    extensions(("x-codes" = json!(["invalid_activation_code", "activation_code_used", "username_taken", "email_taken", "too_many_attempts"]))),
)]
pub async fn register(
    State(users): State<Users>,
    State(codes): State<ActivationCodes>,
    State(passwords): State<Passwords>,
    State(attempts): State<RateLimiter>,
    State(signer): State<TokenSigner>,
    ip: ClientIp,
    Json(body): Json<Register>,
) -> Result<(StatusCode, Json<TokenResponse>), Error> {
    // A registration tells whether a code is valid, so it is counted as an attempt at one.
    let (issued, ()) = tokio::try_join!(
        codes.find(&body.activation_code),
        attempts.from_source(Attempt::ActivationCode, &ip),
    )?;
    let issued = issued.ok_or(Error::InvalidActivationCode)?;
    if issued.used_by.is_some() {
        return Err(Error::ActivationCodeUsed);
    }
    let id = ObjectId::new();
    let (username, email) = (body.username.to_string(), body.email.to_string());
    let context = PasswordContext { field: "password", user_inputs: &[&username, &email] };
    let password_hash = passwords.hash(body.password, &context).await?;
    let refresh_token = tokens::refresh_token(id, &tokens::session_id())?;
    users
        .insert(NewUser {
            id,
            username: body.username,
            email: body.email,
            password_hash,
            activation_code: body.activation_code,
            session: users.open_session(&refresh_token),
        })
        .await?;
    if let Err(error) = codes.mark_used(&issued.code, id).await {
        // Too late to fail: the account is there and holds the code. Its deletion makes up for the mark.
        error.log();
    }
    Ok((StatusCode::CREATED, Json(signer.signed_in(id, username, email, &refresh_token)?)))
}
