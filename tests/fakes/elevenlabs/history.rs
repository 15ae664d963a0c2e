//! The history over HTTP: <https://elevenlabs.io/docs/api-reference/history>. Items by id only; they are not listed.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Json;
use serde_json::{Value, json};

use super::account::Account;
use super::error::ApiError;

type JsonResult = Result<Json<Value>, ApiError>;

/// `GET /v1/history/{history_item_id}`
pub(super) async fn read(
    State(account): State<Arc<Account>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> JsonResult {
    account.authorize(&headers)?;
    let item = account.history_item(&id)?;
    Ok(Json(json!({
        "history_item_id": item.history_item_id,
        "request_id": null,
        "voice_id": item.voice_id,
        "model_id": item.model_id,
        "voice_name": null,
        "voice_category": "cloned",
        "text": item.text,
        "date_unix": item.created_at_unix,
        "character_count_change_from": 0,
        "character_count_change_to": item.cost,
        "content_type": "audio/mpeg",
        "state": "created",
        "settings": null,
        "feedback": null,
        "share_link_id": null,
        "source": "TTS",
        "alignments": null,
    })))
}

/// `DELETE /v1/history/{history_item_id}`
pub(super) async fn delete(
    State(account): State<Arc<Account>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> JsonResult {
    account.authorize(&headers)?;
    account.delete_history_item(&id)?;
    Ok(Json(json!({ "status": "ok" })))
}
