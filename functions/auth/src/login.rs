//! `POST /auth/login`.

use axum::extract::State;
use deserr::Deserr;
use shared::{
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationErrors},
    migration::MigrationCheck,
    password::{PasswordInput, Passwords},
    rate_limit::{Attempt, RateLimiter},
    users::{Users, login_key},
};
use utoipa::ToSchema;

use crate::tokens::{self, TokenResponse, TokenSigner};

#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct Login {
    /// The username or the email address.
    #[schema(example = "ada")]
    username: String,
    password: PasswordInput,
}

/// Starts a session.
///
/// An unknown user and a wrong password get the same response.
#[utoipa::path(
    post,
    path = "/auth/login",
    operation_id = "login",
    request_body = Login,
    responses((status = 200, body = TokenResponse)),
    extensions(("x-codes" = json!(["invalid_credentials", "too_many_attempts", "database_not_migrated"]))),
)]
pub async fn login(
    State(users): State<Users>,
    State(passwords): State<Passwords>,
    State(rate_limiter): State<RateLimiter>,
    State(signer): State<TokenSigner>,
    State(migration): State<MigrationCheck>,
    ip: ClientIp,
    Json(body): Json<Login>,
) -> Result<Json<TokenResponse>, Error> {
    // Folded as the lookup does, or other spellings would bypass the rate limit.
    let username = &login_key(&body.username);
    // A username and an email address of one user have separate counters.
    let (user, ()) = tokio::try_join!(
        users.find_by_login(username),
        rate_limiter.check_account(Attempt::Login, username, &ip),
    )?;
    let matched = passwords.verify(&body.password, user.as_ref().map(|user| &user.password_hash)).await?;
    let Some(user) = user else { return Err(migration.explain(Error::InvalidCredentials).await) };
    let matched = matched.ok_or(Error::InvalidCredentials)?;
    let rehashed = passwords.rehash_if_needed(&body.password, &user.password_hash, matched).await?;
    let refresh_token = signer.refresh_token(user.id, &tokens::session_id())?;
    let session = users.new_session(&refresh_token);
    let (signed_in, ()) = tokio::try_join!(
        users.sign_in(&user, &session, rehashed),
        rate_limiter.reset(Attempt::Login, username, &ip),
    )?;
    if !signed_in {
        // The stored hash has changed meanwhile. If a concurrent login rehashed it, the password is still correct.
        let current = users.find_by_login(username).await?.filter(|current| current.id == user.id);
        let current = current.ok_or(Error::InvalidCredentials)?;
        if passwords.verify(&body.password, Some(&current.password_hash)).await?.is_none()
            || !users.sign_in(&current, &session, None).await?
        {
            return Err(Error::InvalidCredentials);
        }
    }
    signer.token_response(user.id, user.username, user.email, &refresh_token).map(Json)
}
