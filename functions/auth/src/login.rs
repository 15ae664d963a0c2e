//! `POST /auth/login`.

use axum::extract::State;
use deserr::Deserr;
use shared::{
    error::Error,
    json::{Invalid, Json},
    password::{ClaimedPassword, Passwords},
    users::Users,
};

use crate::tokens::{self, SignedIn, TokenSigner};

/// The body; `username` is a username or an email address.
#[derive(Deserr)]
#[deserr(error = Invalid)]
pub struct Login {
    username: String,
    password: ClaimedPassword,
}

/// Opens a session. An unknown user and a wrong password answer alike and take alike time.
pub async fn login(
    State(users): State<Users>,
    State(passwords): State<Passwords>,
    State(signer): State<TokenSigner>,
    Json(body): Json<Login>,
) -> Result<Json<SignedIn>, Error> {
    let user = users.by_login(&body.username).await?;
    let right = passwords.verify(body.password, user.as_ref().map(|user| user.password_hash.clone())).await?;
    let user = user.filter(|_| right).ok_or(Error::InvalidCredentials)?;
    let refresh_token = tokens::refresh_token(user.id, &tokens::session_id())?;
    users.sign_in(user.id, &users.open_session(&refresh_token)).await?;
    signer.signed_in(user.id, user.username, user.email, &refresh_token).map(Json)
}
