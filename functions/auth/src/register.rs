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
    error::Error,
    json::{Invalid, Json},
    password::{NewPassword, Passwords},
    users::{Email, NewUser, Username, Users},
};

use crate::tokens::{self, SignedIn, TokenSigner};

/// The body.
#[derive(Deserr)]
#[deserr(error = Invalid)]
pub struct Register {
    username: Username,
    email: Email,
    password: NewPassword,
    #[deserr(rename = "activationCode")]
    activation_code: ActivationCode,
}

/// Makes the account and signs it in.
pub async fn register(
    State(users): State<Users>,
    State(codes): State<ActivationCodes>,
    State(passwords): State<Passwords>,
    State(signer): State<TokenSigner>,
    Json(body): Json<Register>,
) -> Result<(StatusCode, Json<SignedIn>), Error> {
    let issued = codes.find(&body.activation_code).await?.ok_or(Error::InvalidActivationCode)?;
    if issued.used_by.is_some() {
        return Err(Error::ActivationCodeUsed);
    }
    let id = ObjectId::new();
    let (username, email) = (body.username.to_string(), body.email.to_string());
    let refresh_token = tokens::refresh_token(id, &tokens::session_id())?;
    users
        .insert(NewUser {
            id,
            username: body.username,
            email: body.email,
            password_hash: passwords.hash(body.password).await?,
            activation_code: body.activation_code,
            session: users.open_session(&refresh_token),
        })
        .await?;
    codes.mark_used(&issued.code, id).await?;
    Ok((StatusCode::CREATED, Json(signer.signed_in(id, username, email, &refresh_token)?)))
}
