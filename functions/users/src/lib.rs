//! A user's own things: profile, password, settings, recording, and the account's end.

mod account;
mod meta;
mod owner;
mod password;
mod profile;
mod settings;
mod upload;
mod voice;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    routing::{get, post, put},
};
use shared::{
    activation_codes::ActivationCodes, attempts::Attempts, audio::MAX_BYTES, clock::Clock, env::Env, mongo,
    outgoing, password::Passwords, recordings::Recordings, session::TokenVerifier, users::Users,
};
use utoipa::OpenApi;

use owner::Owner;

/// What this function touches.
#[derive(Clone, FromRef)]
pub struct State {
    users: Users,
    codes: ActivationCodes,
    recordings: Recordings,
    passwords: Passwords,
    owner: Owner,
    verifier: TokenVerifier,
    clock: Clock,
}

impl State {
    /// Reads the configuration and prepares the clients.
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_http::Error> {
        let database = mongo::connect(env).await?;
        let passwords = Passwords::from_env(env)?;
        Ok(Self {
            users: Users::new(&database, clock.clone()),
            codes: ActivationCodes::new(&database, clock.clone()),
            recordings: Recordings::from_env(env, outgoing::client()?)?,
            owner: Owner { passwords: passwords.clone(), attempts: Attempts::new(&database) },
            passwords,
            verifier: TokenVerifier::from_env(env, clock.clone())?,
            clock,
        })
    }
}

/// The routes.
pub fn router(state: State) -> Router {
    // A recording in base64 takes a third more bytes, and a little JSON around it.
    let recording = DefaultBodyLimit::max(MAX_BYTES / 3 * 4 + 4096);
    Router::new()
        .route("/users/{user_id}", get(profile::show).patch(profile::rename).delete(account::delete))
        .route("/users/{user_id}/password", put(password::change))
        .route("/users/{user_id}/settings", get(settings::show).put(settings::replace))
        .route("/users/{user_id}/voice", post(voice::adopt).delete(voice::delete).layer(recording))
        .route("/users/{user_id}/voice/upload", post(upload::offer))
        .route("/users/{user_id}/voice/meta", get(meta::show))
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
    meta::show,
))]
pub struct Api;
