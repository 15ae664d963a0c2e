//! A fake of the Gemini API: <https://ai.google.dev/api/generate-content>.
//!
//! It reads a request as strictly as the real one, and responds with a sentence about a dream. `GET /_fake/state` shows
//! the prompts that it received.

mod error;
mod request;
mod templates;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use self::error::ApiError;
pub use self::error::response_of_parts;
use self::request::Request;
use super::faults::{Faults, Operation};
use super::requests::RequestLog;
use super::server::Server;

/// The service to imitate.
#[derive(Debug, Clone)]
pub struct Config {
    /// The only key that is accepted.
    pub api_key: String,
    /// How long the model takes to generate.
    pub generate_delay: Duration,
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_key: "fake-gemini-key".to_owned(),
            generate_delay: Duration::ZERO,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

/// What happened at the provider.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ServiceState {
    /// Every well-formed request for text, in order.
    pub prompts: Vec<Prompt>,
}

/// One request for text.
#[derive(Debug, Clone, Serialize)]
pub struct Prompt {
    /// For example `gemini-3.5-flash-lite`.
    pub model: String,
    /// The text of the system instruction.
    pub system_instruction: Option<String>,
    /// The text of the user's last turn.
    pub user_text: String,
    /// `generationConfig`, with the field names as they were sent.
    pub generation_config: Value,
    /// `generationConfig.thinkingConfig`, as it was sent.
    pub thinking_config: Option<Value>,
    /// `safetySettings`, as they were sent.
    pub safety_settings: Value,
    /// What the model wrote.
    pub text: String,
}

/// A running fake. Clones share it; it stops when the last one is dropped.
#[derive(Clone)]
pub struct Gemini {
    service: Arc<Service>,
    faults: Faults,
    requests: RequestLog,
    server: Arc<Server>,
}

struct Service {
    api_key: String,
    delay: Mutex<Duration>,
    state: Mutex<ServiceState>,
}

impl Gemini {
    /// Starts listening.
    pub async fn start(config: Config) -> io::Result<Self> {
        let service = Arc::new(Service {
            api_key: config.api_key,
            delay: Mutex::new(config.generate_delay),
            state: Mutex::default(),
        });
        let (faults, requests) = (Faults::default(), RequestLog::default());
        let router = router(Arc::clone(&service));
        let server = Server::start(config.bind, router, operation, faults.clone(), requests.clone()).await?;
        Ok(Self { service, faults, requests, server: Arc::new(server) })
    }

    /// The base URL, without a slash and without a version at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What happened so far.
    #[must_use]
    pub fn state(&self) -> ServiceState {
        self.service.state()
    }

    /// The injected faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// From now on, requests over the connections that exist are swallowed, as after their client was frozen.
    pub fn freeze_connections(&self) {
        self.server.freeze_connections();
    }

    /// The requests received, and how long each took.
    #[must_use]
    pub fn requests(&self) -> &RequestLog {
        &self.requests
    }

    /// Changes how long the model takes to generate.
    pub fn set_generate_delay(&self, delay: Duration) {
        *self.service.delay.lock().unwrap_or_else(PoisonError::into_inner) = delay;
    }
}

impl Service {
    fn state(&self) -> ServiceState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn delay(&self) -> Duration {
        *self.delay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key comes in a header or in the query; no key and a wrong key are different errors.
    fn authorize(&self, headers: &HeaderMap, query: &str) -> Result<(), ApiError> {
        let header = headers.get("x-goog-api-key").and_then(|value| value.to_str().ok());
        let key = header.or_else(|| parameter(query, "key")).ok_or_else(ApiError::no_key)?;
        if key == self.api_key { Ok(()) } else { Err(ApiError::invalid_key()) }
    }

    /// Writes the text and records the prompt.
    fn generate(&self, model: &str, request: &Request) -> Value {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let text = templates::generate(&request.prompt, state.prompts.len());
        state.prompts.push(Prompt {
            model: model.to_owned(),
            system_instruction: request.system_instruction.clone(),
            user_text: request.user_text.clone(),
            generation_config: request.generation_config.clone(),
            thinking_config: request.thinking_config().cloned(),
            safety_settings: request.safety_settings.clone(),
            text: text.clone(),
        });
        request.response(model, &text)
    }
}

fn router(service: Arc<Service>) -> Router {
    let versioned = Router::new()
        .route("/models", get(list_models))
        .route("/models/{call}", get(read_model).post(generate));
    Router::new()
        .nest("/v1", versioned.clone())
        .nest("/v1beta", versioned)
        .route("/_fake/state", get(async |State(service): State<Arc<Service>>| Json(service.state())))
        .fallback(async || ApiError::not_found("Requested entity was not found."))
        .with_state(service)
}

fn operation(method: &Method, path: &str) -> Option<Operation> {
    let (_, rest) = path.trim_start_matches('/').split_once('/')?;
    let call = rest.strip_prefix("models")?;
    match *method {
        Method::POST if call.ends_with(":generateContent") || call.ends_with(":streamGenerateContent") => {
            Some(Operation::Generate)
        }
        Method::GET => Some(Operation::Models),
        _ => None,
    }
}

/// `POST /{version}/models/{model}:generateContent`, and `:streamGenerateContent`, whose whole response is one event.
async fn generate(
    State(service): State<Arc<Service>>,
    Path(call): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let (model, method) = call.rsplit_once(':').unwrap_or((&call, ""));
    if !["generateContent", "streamGenerateContent"].contains(&method) {
        return Err(ApiError::not_found("Requested entity was not found."));
    }
    service.authorize(&headers, &query)?;
    let request = Request::parse(&body)?;
    if !is_served(model) {
        return Err(ApiError::unknown_model(model));
    }
    sleep(service.delay()).await;
    let response = service.generate(model, &request);
    Ok(match (method, parameter(&query, "alt")) {
        ("streamGenerateContent", Some("sse")) => {
            ([(CONTENT_TYPE, "text/event-stream")], format!("data: {response}\r\n\r\n")).into_response()
        }
        ("streamGenerateContent", _) => Json(json!([response])).into_response(),
        _ => Json(response).into_response(),
    })
}

/// The generations 1.5 and 2.0 are retired.
fn is_served(model: &str) -> bool {
    ["gemini-2.5-", "gemini-3", "gemini-flash-latest", "gemini-flash-lite-latest"]
        .iter()
        .any(|served| model.starts_with(served))
}

async fn list_models(
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    service.authorize(&headers, &query.unwrap_or_default())?;
    let models = ["gemini-3.5-flash-lite", "gemini-3.8-flash", "gemini-2.5-flash"].map(model_to_json);
    Ok(Json(json!({ "models": models })))
}

async fn read_model(
    State(service): State<Arc<Service>>,
    Path(model): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    service.authorize(&headers, &query.unwrap_or_default())?;
    if is_served(&model) { Ok(Json(model_to_json(&model))) } else { Err(ApiError::unknown_model(&model)) }
}

fn model_to_json(model: &str) -> Value {
    json!({
        "name": format!("models/{model}"),
        "version": "001",
        "displayName": model,
        "description": "A model of the fake",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": true,
    })
}

/// One parameter of a query. Keys and formats need no decoding.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Adds the members that every response ends with.
fn with_usage(mut response: Value, model: &str, prompt: &str, text: &str) -> Value {
    // A token is about four characters.
    let (prompt_tokens, text_tokens) = (prompt.len().div_ceil(4), text.len().div_ceil(4));
    response["usageMetadata"] = json!({
        "promptTokenCount": prompt_tokens,
        "candidatesTokenCount": text_tokens,
        "totalTokenCount": prompt_tokens + text_tokens,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": prompt_tokens }],
    });
    response["modelVersion"] = model.into();
    response["responseId"] = Uuid::new_v4().simple().to_string().into();
    response
}

#[cfg(test)]
mod tests;
