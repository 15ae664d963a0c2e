//! The speech models: <https://elevenlabs.io/docs/overview/models>.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Json;
use serde_json::{Value, json};

use super::account::Account;
use super::error::ApiError;

/// What the fake needs to know about a model.
pub(super) struct Model {
    pub id: &'static str,
    name: &'static str,
    /// Half price, and twice as many requests at once.
    pub fast: bool,
    /// The longest text of one request, in characters.
    pub max_characters: usize,
}

const MODELS: [Model; 5] = [
    Model { id: "eleven_flash_v2_5", name: "Eleven Flash v2.5", fast: true, max_characters: 40_000 },
    Model { id: "eleven_turbo_v2_5", name: "Eleven Turbo v2.5", fast: true, max_characters: 40_000 },
    Model {
        id: "eleven_multilingual_v2",
        name: "Eleven Multilingual v2",
        fast: false,
        max_characters: 10_000,
    },
    Model { id: "eleven_v3", name: "Eleven v3", fast: false, max_characters: 5_000 },
    Model { id: "eleven_v4", name: "Eleven v4", fast: false, max_characters: 5_000 },
];

impl Model {
    pub fn find(id: &str) -> Result<&'static Self, ApiError> {
        MODELS.iter().find(|model| model.id == id).ok_or_else(|| ApiError::model_not_found(id))
    }

    /// What a text of this many characters costs, as in the `character-cost` header.
    pub fn cost(&self, characters: usize) -> u64 {
        let characters = characters as u64;
        if self.fast { characters.div_ceil(2) } else { characters }
    }
}

/// `GET /v1/models`
pub(super) async fn list(
    State(account): State<Arc<Account>>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    account.authorize(&headers)?;
    Ok(Json(MODELS.iter().map(to_json).collect()))
}

fn to_json(model: &Model) -> Value {
    let factor = if model.fast { 0.5 } else { 1.0 };
    json!({
        "model_id": model.id,
        "name": model.name,
        "can_be_finetuned": false,
        "can_do_text_to_speech": true,
        "can_do_voice_conversion": false,
        "can_use_style": !model.fast,
        "can_use_speaker_boost": !model.fast,
        "serves_pro_voices": false,
        "token_cost_factor": factor,
        "description": model.name,
        "requires_alpha_access": false,
        "max_characters_request_free_user": model.max_characters,
        "max_characters_request_subscribed_user": model.max_characters,
        "maximum_text_length_per_request": model.max_characters,
        "languages": [
            { "language_id": "en", "name": "English" },
            { "language_id": "es", "name": "Spanish" },
            { "language_id": "fr", "name": "French" },
            { "language_id": "de", "name": "German" },
            { "language_id": "it", "name": "Italian" },
            { "language_id": "pt", "name": "Portuguese" },
        ],
        "model_rates": { "character_cost_multiplier": factor, "cost_discount_multiplier": 1.0 },
        "concurrency_group": if model.fast { "turbo" } else { "standard" },
    })
}
