//! `POST /auth/login`.

use axum::extract::State;
use deserr::Deserr;
use shared::{
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationErrors},
    password::{PasswordInput, Passwords},
    rate_limit::{Attempt, RateLimiter},
    users::Users,
};
use utoipa::ToSchema;

use crate::tokens::{self, TokenResponse, TokenSigner};

/// `username` is a username or an email address.
#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct Login {
    #[schema(example = "ada")]
    username: String,
    password: PasswordInput,
}

/// Opens a session. An unknown user and a wrong password are indistinguishable.
#[utoipa::path(
    post,
    path = "/auth/login",
    operation_id = "login",
    request_body = Login,
    responses((status = 200, body = TokenResponse)),
    extensions(("x-codes" = json!(["invalid_credentials", "too_many_attempts"]))),
)]
pub async fn login(
    State(users): State<Users>,
    State(passwords): State<Passwords>,
    State(attempts): State<RateLimiter>,
    State(signer): State<TokenSigner>,
    ip: ClientIp,
    Json(body): Json<Login>,
) -> Result<Json<TokenResponse>, Error> {
    // As it is looked up, or every blank around it would begin another count.
    let username = body.username.trim();
    // Side by side: as slow as the slower. A user who is known by two logins has two counters.
    let (user, ()) =
        tokio::try_join!(users.by_login(username), attempts.on_account(Attempt::Login, username, &ip),)?;
    let right = passwords.verify(&body.password, user.as_ref().map(|user| &user.password_hash)).await?;
    let user = user.filter(|_| right).ok_or(Error::InvalidCredentials)?;
    let upgraded = passwords.rehash_if_needed(&body.password, &user.password_hash).await?;
    let refresh_token = tokens::refresh_token(user.id, &tokens::session_id())?;
    let session = users.open_session(&refresh_token);
    let (signed_in, ()) = tokio::try_join!(
        users.sign_in(&user, &session, upgraded),
        attempts.succeeded(Attempt::Login, username, &ip),
    )?;
    if !signed_in {
        // The hash is another one by now. If that was another login's upgrade, the password is right still.
        let again = users.by_login(username).await?.filter(|again| again.id == user.id);
        let again = again.ok_or(Error::InvalidCredentials)?;
        if !passwords.verify(&body.password, Some(&again.password_hash)).await?
            || !users.sign_in(&again, &session, None).await?
        {
            return Err(Error::InvalidCredentials);
        }
    }
    signer.signed_in(user.id, user.username, user.email, &refresh_token).map(Json)
}
