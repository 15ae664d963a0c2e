//! `GET /health`: public, and makes no outbound call.

use axum::extract::State;
use serde::Serialize;
use shared::{
    env::Env,
    json::Json,
    speech_model::{ModelStatus, SpeechModel},
};
use utoipa::ToSchema;

#[derive(Clone, Serialize, ToSchema)]
pub struct Health {
    #[schema(pattern = "^ok$")]
    status: &'static str,
    app: &'static str,
    env: String,
    has_google_api_key: bool,
    has_elevenlabs_api_key: bool,
    elevenlabs_model: String,
    /// Whether `elevenlabs_model` should still be used.
    elevenlabs_model_status: ModelStatus,
    model_cost_factor: f64,
}

impl Health {
    /// Reads whether the keys are set, not the keys.
    pub fn from_env(env: &Env, model: &SpeechModel) -> Self {
        Self {
            status: "ok",
            app: "New Visions",
            env: env.stage().to_owned(),
            has_google_api_key: env.get("GEMINI_API_KEY").is_some(),
            has_elevenlabs_api_key: env.get("ELEVENLABS_API_KEY").is_some(),
            elevenlabs_model: model.id.clone(),
            elevenlabs_model_status: model.status,
            model_cost_factor: model.cost_factor(),
        }
    }
}

/// Tells that the service is up, and how it is configured.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "getHealth",
    responses((status = 200, body = Health)),
)]
pub async fn health(State(health): State<Health>) -> Json<Health> {
    Json(health)
}
