//! The voices over HTTP: <https://elevenlabs.io/docs/api-reference/voices>.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::multipart::{Field, Multipart, MultipartRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Json;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::account::{Account, NewVoice, Voice};
use super::error::{ApiError, problem};
use super::sample;

type JsonResult = Result<Json<Value>, ApiError>;

/// `POST /v1/voices/add`. The form is validated before the key, as the vendor does.
pub(super) async fn add(
    State(account): State<Arc<Account>>,
    headers: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> JsonResult {
    let form = Form::read(form.ok()).await;
    let (name, labels) = form.validate()?;
    account.authorize(&headers)?;
    account.check_limits()?;
    let files = form.files;
    // Symphonia panics on some hostile files; the vendor calls them invalid.
    let checked = spawn_blocking(move || sample::check(&files)).await;
    let samples = checked.unwrap_or_else(|_panic| Err(ApiError::invalid_audio()))?;
    sleep(account.delays().create).await;
    let voice = account.create(NewVoice { name, description: form.description, labels, samples })?;
    Ok(Json(json!({ "voice_id": voice.id, "requires_verification": voice.requires_verification })))
}

/// The form as it was sent, not validated.
#[derive(Default)]
struct Form {
    name: Option<String>,
    description: Option<String>,
    labels: Option<String>,
    remove_background_noise: Option<String>,
    files: Vec<Bytes>,
}

impl Form {
    /// The vendor treats an unreadable form as an empty one, so every required field is missing.
    async fn read(multipart: Option<Multipart>) -> Self {
        let mut form = Self::default();
        let Some(mut multipart) = multipart else { return form };
        while let Ok(Some(field)) = multipart.next_field().await {
            form.add_field(field).await;
        }
        form
    }

    async fn add_field(&mut self, field: Field<'_>) {
        match field.name() {
            Some("files") => self.files.extend(field.bytes().await.ok()),
            Some("name") => self.name = field.text().await.ok(),
            Some("description") => self.description = field.text().await.ok(),
            Some("labels") => self.labels = field.text().await.ok(),
            Some("remove_background_noise") => self.remove_background_noise = field.text().await.ok(),
            _ => {}
        }
    }

    /// The name and the labels.
    fn validate(&self) -> Result<(String, Value), ApiError> {
        let mut problems = Vec::new();
        if self.name.is_none() {
            problems.push(problem("missing", &["body", "name"], "Field required", &Value::Null));
        }
        if self.files.is_empty() {
            problems.push(problem("missing", &["body", "files"], "Field required", &Value::Null));
        }
        if let Some(flag) = &self.remove_background_noise
            && !["true", "false", "1", "0", "True", "False"].contains(&flag.as_str())
        {
            let message = "Input should be a valid boolean, unable to interpret input";
            problems.push(problem(
                "bool_parsing",
                &["body", "remove_background_noise"],
                message,
                &json!(flag),
            ));
        }
        // SDKs send the text `null` for absent labels.
        let labels = self.labels.as_deref().unwrap_or("null");
        let labels = serde_json::from_str::<Option<Map<String, Value>>>(labels);
        if labels.is_err() {
            let message = "Input should be a serialized dictionary";
            problems.push(problem("json_invalid", &["body", "labels"], message, &json!(self.labels)));
        }
        match (&self.name, labels) {
            (Some(name), Ok(labels)) if problems.is_empty() => {
                Ok((name.clone(), labels.unwrap_or_default().into()))
            }
            _ => Err(ApiError::invalid(problems)),
        }
    }
}

/// `DELETE /v1/voices/{voice_id}`
pub(super) async fn delete(
    State(account): State<Arc<Account>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> JsonResult {
    account.authorize(&headers)?;
    if account.voice(&id)?.is_premade() {
        return Err(ApiError::premade_voice());
    }
    sleep(account.delays().delete).await;
    account.delete(&id)?;
    Ok(Json(json!({ "status": "ok" })))
}

/// `GET /v1/voices/{voice_id}`
pub(super) async fn read(
    State(account): State<Arc<Account>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> JsonResult {
    account.authorize(&headers)?;
    account.voice(&id).map(|voice| Json(to_json(&voice)))
}

/// `GET /v1/voices`: all of them on one page.
pub(super) async fn list(State(account): State<Arc<Account>>, headers: HeaderMap) -> JsonResult {
    account.authorize(&headers)?;
    sleep(account.delays().list).await;
    let voices: Vec<Value> = account.listed().iter().map(to_json).chain(account.odd_voices()).collect();
    Ok(Json(json!({ "voices": voices })))
}

/// The query of `GET /v2/voices`. Numbers stay text until validated.
#[derive(Deserialize)]
pub(super) struct VoiceQuery {
    search: Option<String>,
    category: Option<String>,
    voice_type: Option<String>,
    page_size: Option<String>,
    next_page_token: Option<String>,
    sort: Option<String>,
    sort_direction: Option<String>,
    include_total_count: Option<String>,
}

/// `GET /v2/voices`. The first page has the premade and the odd voices on top of `page_size` others.
pub(super) async fn search(
    State(account): State<Arc<Account>>,
    headers: HeaderMap,
    Query(query): Query<VoiceQuery>,
) -> JsonResult {
    let page_size = query.page_size()?;
    account.authorize(&headers)?;
    sleep(account.delays().list).await;
    let mut voices = account.listed();
    voices.retain(|voice| query.matches(voice));
    let (premade, mut own): (Vec<_>, Vec<_>) = voices.into_iter().partition(Voice::is_premade);
    let total_count = premade.len() + own.len();
    query.sort(&mut own);

    // An offset: a voice deleted between two pages makes the second page skip one.
    let offset = query.offset();
    let rest = own.get(offset..).unwrap_or_default();
    let page = &rest[..rest.len().min(page_size)];
    let has_more = rest.len() > page.len();
    let is_first = query.next_page_token.is_none();
    let on_top: &[Voice] = if is_first { &premade } else { &[] };
    let odd = if is_first { account.odd_voices() } else { Vec::new() };
    Ok(Json(json!({
        "voices": odd.into_iter().chain(on_top.iter().chain(page).map(to_json)).collect::<Vec<_>>(),
        "has_more": has_more,
        "total_count": if query.include_total_count.as_deref() == Some("false") { 0 } else { total_count },
        "next_page_token": has_more.then(|| format!("page-{:x}", offset + page.len())),
    })))
}

impl VoiceQuery {
    fn page_size(&self) -> Result<usize, ApiError> {
        let Some(text) = &self.page_size else { return Ok(10) };
        let (kind, message) = match text.parse::<i64>() {
            Ok(size @ 1..=100) => return Ok(size.cast_unsigned().try_into().expect("at most 100")),
            Ok(size) if size > 100 => ("less_than_equal", "Input should be less than or equal to 100"),
            Ok(_) => ("greater_than_equal", "Input should be greater than or equal to 1"),
            Err(_) => {
                ("int_parsing", "Input should be a valid integer, unable to parse string as an integer")
            }
        };
        Err(ApiError::invalid(vec![problem(kind, &["query", "page_size"], message, &json!(text))]))
    }

    fn offset(&self) -> usize {
        let token = self.next_page_token.as_deref().and_then(|token| token.strip_prefix("page-"));
        token.and_then(|hex| usize::from_str_radix(hex, 16).ok()).unwrap_or(0)
    }

    fn matches(&self, voice: &Voice) -> bool {
        let has_type = match self.voice_type.as_deref() {
            Some("personal" | "non-default") => !voice.is_premade(),
            Some("default") => voice.is_premade(),
            _ => true,
        };
        has_type
            && self.category.as_ref().is_none_or(|category| *category == voice.category)
            && self.search.as_ref().is_none_or(|word| mentions(voice, &word.to_lowercase()))
    }

    /// Newest first by default; names from A.
    fn sort(&self, voices: &mut [Voice]) {
        if self.sort.as_deref() == Some("name") {
            voices.sort_by_key(|voice| voice.name.to_lowercase());
            if self.sort_direction.as_deref() == Some("desc") {
                voices.reverse();
            }
        } else if self.sort_direction.as_deref() == Some("asc") {
            voices.sort_by_key(|voice| voice.created_at_unix);
        } else {
            voices.sort_by_key(|voice| Reverse(voice.created_at_unix));
        }
    }
}

/// The search looks at the name, the description and the labels.
fn mentions(voice: &Voice, word: &str) -> bool {
    let labels = voice.labels.to_string();
    [voice.name.as_str(), voice.description.as_deref().unwrap_or_default(), &labels]
        .iter()
        .any(|text| text.to_lowercase().contains(word))
}

fn to_json(voice: &Voice) -> Value {
    json!({
        "voice_id": voice.id,
        "name": voice.name,
        "samples": null,
        "category": voice.category,
        "fine_tuning": null,
        "labels": voice.labels,
        "description": voice.description,
        "preview_url": null,
        "available_for_tiers": [],
        "settings": null,
        "sharing": null,
        "high_quality_base_model_ids": [],
        "verified_languages": [],
        "collection_ids": [],
        "safety_control": null,
        "voice_verification": {
            "requires_verification": voice.requires_verification,
            "is_verified": false,
            "verification_failures": [],
            "verification_attempts_count": 0,
            "language": null,
            "verification_attempts": null,
        },
        "permission_on_resource": if voice.is_premade() { Value::Null } else { json!("admin") },
        "is_owner": !voice.is_premade(),
        "is_legacy": false,
        "is_mixed": false,
        "favorited_at_unix": null,
        "created_at_unix": voice.created_at_unix,
        "is_bookmarked": null,
    })
}
