//! Generates thoughts as text, without speech.

mod thought;

use axum::{Router, extract::FromRef, routing::post};
use shared::{
    clock::Clock, env::Env, gemini::Gemini, http_client, mongo, session::TokenVerifier, thought::Thoughts,
    users::Users,
};
use utoipa::OpenApi;

#[derive(Clone, FromRef)]
pub struct AppState {
    users: Users,
    thoughts: Thoughts,
    verifier: TokenVerifier,
}

impl AppState {
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_http::Error> {
        let database = mongo::connect(env).await?;
        Ok(Self {
            users: Users::new(&database, clock.clone()),
            thoughts: Thoughts::new(Gemini::from_env(env, http_client::client()?)?),
            verifier: TokenVerifier::from_env(env, clock)?,
        })
    }
}

pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/thought", post(thought::thought))
        // The earlier backend's name of the same route.
        .route("/generate-thought", post(thought::thought))
        .with_state(state)
}

/// The OpenAPI description of the routes.
#[derive(OpenApi)]
#[openapi(paths(thought::thought,))]
pub struct Api;
