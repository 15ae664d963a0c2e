//! A user's own data: profile, password, settings, recording, and deletion of the account.

mod account;
mod password;
mod profile;
mod reauth;
mod settings;
mod upload;
mod voice;
mod voice_body;
mod voice_meta;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    routing::{get, post, put},
};
use shared::{
    activation_codes::ActivationCodes, audio::MAX_BYTES, clock::Clock, env::Env, http_client, mongo,
    object_store::ObjectStore, password::Passwords, rate_limit::RateLimiter, security_log::SecurityLog,
    session::TokenVerifier, users::Users,
};
use utoipa::OpenApi;

use reauth::Reauthenticator;

#[derive(Clone, FromRef)]
pub struct AppState {
    users: Users,
    codes: ActivationCodes,
    recordings: ObjectStore,
    passwords: Passwords,
    reauthenticator: Reauthenticator,
    security_log: SecurityLog,
    verifier: TokenVerifier,
    clock: Clock,
}

impl AppState {
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_http::Error> {
        let database = mongo::connect(env).await?;
        let passwords = Passwords::from_env(env)?;
        let security_log = SecurityLog::from_env(env, "users", clock.clone())?;
        Ok(Self {
            users: Users::new(&database, clock.clone()),
            codes: ActivationCodes::new(&database, clock.clone()),
            recordings: ObjectStore::from_env(env, http_client::client()?)?,
            reauthenticator: Reauthenticator {
                passwords: passwords.clone(),
                rate_limiter: RateLimiter::new(&database, clock.clone()),
                security_log: security_log.clone(),
            },
            security_log,
            passwords,
            verifier: TokenVerifier::from_env(env, clock.clone())?,
            clock,
        })
    }
}

pub fn router(state: AppState) -> Router {
    // Base64 takes a third more bytes, and there is a little JSON around it.
    let recording = DefaultBodyLimit::max(MAX_BYTES / 3 * 4 + 4096);
    Router::new()
        .route("/users/{user_id}", get(profile::get).patch(profile::update).delete(account::delete))
        .route("/users/{user_id}/password", put(password::change))
        .route("/users/{user_id}/settings", get(settings::get).put(settings::replace))
        .route("/users/{user_id}/voice", post(voice::upload).delete(voice::delete).layer(recording))
        .route("/users/{user_id}/voice/upload", post(upload::create_upload_url))
        .route("/users/{user_id}/voice/meta", get(voice_meta::get))
        .with_state(state)
}

/// The OpenAPI description of the routes.
#[derive(OpenApi)]
#[openapi(paths(
    profile::get,
    profile::update,
    account::delete,
    password::change,
    settings::get,
    settings::replace,
    voice::upload,
    voice::delete,
    upload::create_upload_url,
    voice_meta::get,
))]
pub struct Api;
