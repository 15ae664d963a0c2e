//! Thoughts without a voice.

mod thought;

use axum::{Router, extract::FromRef, routing::post};
use shared::{
    clock::Clock, content::Thoughts, env::Env, gemini::Gemini, http_client, mongo, session::TokenVerifier,
    users::Users,
};
use utoipa::OpenApi;

/// What this function touches.
#[derive(Clone, FromRef)]
pub struct AppState {
    users: Users,
    thoughts: Thoughts,
    verifier: TokenVerifier,
}

impl AppState {
    /// Reads the configuration and prepares the clients.
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_http::Error> {
        let database = mongo::connect(env).await?;
        Ok(Self {
            users: Users::new(&database, clock.clone()),
            thoughts: Thoughts::new(Gemini::from_env(env, http_client::client()?)?),
            verifier: TokenVerifier::from_env(env, clock)?,
        })
    }
}

/// The routes. The second is the earlier backend's.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/thought", post(thought::thought))
        .route("/generate-thought", post(thought::thought))
        .with_state(state)
}

/// The description of the routes.
#[derive(OpenApi)]
#[openapi(paths(thought::thought,))]
pub struct Api;
