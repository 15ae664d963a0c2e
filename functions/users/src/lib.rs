//! A user's own things: profile, password, settings, recording, and the account's end.

mod account;
mod password;
mod profile;
mod reauth;
mod settings;
mod upload;
mod voice;
mod voice_meta;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    routing::{get, post, put},
};
use shared::{
    activation_codes::ActivationCodes, audio::MAX_BYTES, clock::Clock, env::Env, http_client, mongo,
    object_store::ObjectStore, password::Passwords, rate_limit::RateLimiter, session::TokenVerifier,
    users::Users,
};
use utoipa::OpenApi;

use reauth::Reauthenticator;

/// What this function touches.
#[derive(Clone, FromRef)]
pub struct AppState {
    users: Users,
    codes: ActivationCodes,
    recordings: ObjectStore,
    passwords: Passwords,
    owner: Reauthenticator,
    verifier: TokenVerifier,
    clock: Clock,
}

impl AppState {
    /// Reads the configuration and prepares the clients.
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_http::Error> {
        let database = mongo::connect(env).await?;
        let passwords = Passwords::from_env(env)?;
        Ok(Self {
            users: Users::new(&database, clock.clone()),
            codes: ActivationCodes::new(&database, clock.clone()),
            recordings: ObjectStore::from_env(env, http_client::client()?)?,
            owner: Reauthenticator { passwords: passwords.clone(), attempts: RateLimiter::new(&database) },
            passwords,
            verifier: TokenVerifier::from_env(env, clock.clone())?,
            clock,
        })
    }
}

/// The routes.
pub fn router(state: AppState) -> Router {
    // A recording in base64 takes a third more bytes, and a little JSON around it.
    let recording = DefaultBodyLimit::max(MAX_BYTES / 3 * 4 + 4096);
    Router::new()
        .route("/users/{user_id}", get(profile::show).patch(profile::rename).delete(account::delete))
        .route("/users/{user_id}/password", put(password::change))
        .route("/users/{user_id}/settings", get(settings::show).put(settings::replace))
        .route("/users/{user_id}/voice", post(voice::adopt).delete(voice::delete).layer(recording))
        .route("/users/{user_id}/voice/upload", post(upload::offer))
        .route("/users/{user_id}/voice/meta", get(voice_meta::show))
        .with_state(state)
}

/// The description of the routes.
#[derive(OpenApi)]
#[openapi(paths(
    profile::show,
    profile::rename,
    account::delete,
    password::change,
    settings::show,
    settings::replace,
    voice::adopt,
    voice::delete,
    upload::offer,
    voice_meta::show,
))]
pub struct Api;
