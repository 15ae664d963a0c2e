//! Usage of the monthly quota, the provider's account, health, and the API's description.

mod health;
mod openapi;
mod provider;
mod usage;

use axum::{Router, extract::FromRef, routing::get};
use shared::{
    clock::Clock, elevenlabs::ElevenLabs, env::Env, http_client, mongo, quota::Quota, session::TokenVerifier,
    speech_model::SpeechModel, users::Users,
};
use utoipa::OpenApi;

use health::Health;

#[derive(Clone, FromRef)]
pub struct AppState {
    users: Users,
    quota: Quota,
    model: SpeechModel,
    elevenlabs: Option<ElevenLabs>,
    health: Health,
    verifier: TokenVerifier,
    clock: Clock,
}

impl AppState {
    /// Without a provider's key the function starts all the same, so that `/health` can report that it is missing.
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_http::Error> {
        let database = mongo::connect(env).await?;
        let model = SpeechModel::from_env(env);
        Ok(Self {
            users: Users::new(&database, clock.clone()),
            elevenlabs: ElevenLabs::from_env(env, http_client::client()?).ok(),
            health: Health::from_env(env, &model),
            verifier: TokenVerifier::from_env(env, clock.clone())?,
            quota: Quota::from_env(env)?,
            model,
            clock,
        })
    }
}

pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/usage", get(usage::usage))
        .route("/users/{user_id}/meta", get(usage::meta))
        .route("/usage/provider", get(provider::provider))
        .route("/health", get(health::health))
        .route("/openapi.json", get(openapi::openapi))
        .with_state(state)
}

/// The OpenAPI description of the routes.
#[derive(OpenApi)]
#[openapi(paths(usage::usage, usage::meta, provider::provider, health::health, openapi::openapi,))]
pub struct Api;
