//! `POST /auth/login`.

use axum::extract::State;
use deserr::Deserr;
use mongodb::bson::oid::ObjectId;
use shared::{
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationErrors},
    migration::MigrationCheck,
    password::{PasswordInput, Passwords},
    rate_limit::{Attempt, RateLimiter, Source},
    security_log::{SecurityEvent, SecurityLog, Subject},
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
#[expect(clippy::too_many_arguments, reason = "an extractor each")]
pub async fn login(
    State(users): State<Users>,
    State(passwords): State<Passwords>,
    State(rate_limiter): State<RateLimiter>,
    State(signer): State<TokenSigner>,
    State(migration): State<MigrationCheck>,
    State(security_log): State<SecurityLog>,
    ip: ClientIp,
    Json(body): Json<Login>,
) -> Result<Json<TokenResponse>, Error> {
    let user = users.find_by_login(&body.username).await?;
    // Attempts count by the account, so that its username and its email address share a counter; by the name, in the form
    // of the lookup, if there is none.
    let account = user.as_ref().map_or_else(|| login_key(&body.username), |user| user.id.to_hex());
    let device = users.new_device(ip.device_id(user.as_ref().map_or_else(ObjectId::new, |user| user.id)));
    let source = match &user {
        Some(user) if users.knows_device(user, &device) => Source::KnownDevice(&device.id),
        _ => Source::Address(&ip),
    };
    let user_id = user.as_ref().map(|user| user.id);
    let failed = || {
        let subject = Subject { user_id, session_id: None };
        security_log.record(SecurityEvent::SignInFailed, subject, &ip);
    };
    rate_limiter.check(Attempt::Login, &account, source).await.inspect_err(|_| failed())?;
    let matched = passwords.verify(&body.password, user.as_ref().map(|user| &user.password_hash)).await?;
    let Some((user, matched)) = user.zip(matched) else {
        failed();
        let error = Error::InvalidCredentials;
        return Err(if user_id.is_none() { migration.explain(error).await } else { error });
    };
    let rehashed = passwords.rehash_if_needed(&body.password, &user.password_hash, matched).await?;
    let refresh_token = signer.refresh_token(user.id, &tokens::session_id())?;
    let session = users.new_session(&refresh_token);
    let (signed_in, ()) = tokio::try_join!(
        users.sign_in(&user, &session, &device, rehashed),
        rate_limiter.reset(Attempt::Login, &account, source),
    )?;
    if !signed_in {
        // The stored hash has changed meanwhile. If a concurrent login rehashed it, the password is still correct.
        let current = users.find_by_login(&body.username).await?.filter(|current| current.id == user.id);
        let current = current.ok_or(Error::InvalidCredentials)?;
        if passwords.verify(&body.password, Some(&current.password_hash)).await?.is_none()
            || !users.sign_in(&current, &session, &device, None).await?
        {
            failed();
            return Err(Error::InvalidCredentials);
        }
    }
    let subject = Subject { user_id, session_id: Some(&session.id) };
    security_log.record(SecurityEvent::SignIn, subject, &ip);
    signer.token_response(user.id, user.username, user.email, &refresh_token).map(Json)
}
