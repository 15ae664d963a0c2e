//! A stand-in of the Gemini API: <https://ai.google.dev/api/generate-content>.
//!
//! It reads a request as strictly as the real one, and answers with a sentence about a dream. What it was asked
//! is in its ledger, which a developer reads at `GET /_standin/ledger`.

mod dreams;
mod refusal;
mod request;

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

use self::refusal::Refusal;
pub use self::refusal::answer_of_parts;
use self::request::Request;
use super::faults::{Faults, Operation};
use super::journal::Journal;
use super::server::Server;

/// The service to imitate.
#[derive(Debug, Clone)]
pub struct Config {
    /// The only key that is accepted.
    pub api_key: String,
    /// How long the model thinks.
    pub generate_delay: Duration,
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_key: "standin-gemini-key".to_owned(),
            generate_delay: Duration::ZERO,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

/// What the model was asked.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ledger {
    /// Every request that was well-formed, in order.
    pub requests: Vec<Asked>,
}

/// One request for text.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
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
    /// What the model answered.
    pub answer: String,
}

/// A running stand-in. Clones are the same one; it stops when the last of them is dropped.
#[derive(Clone)]
pub struct Gemini {
    service: Arc<Service>,
    faults: Faults,
    journal: Journal,
    server: Arc<Server>,
}

struct Service {
    api_key: String,
    delay: Mutex<Duration>,
    ledger: Mutex<Ledger>,
}

impl Gemini {
    /// Starts listening.
    pub async fn start(config: Config) -> io::Result<Self> {
        let service = Arc::new(Service {
            api_key: config.api_key,
            delay: Mutex::new(config.generate_delay),
            ledger: Mutex::default(),
        });
        let (faults, journal) = (Faults::default(), Journal::default());
        let router = router(Arc::clone(&service));
        let server = Server::start(config.bind, router, operation, faults.clone(), journal.clone()).await?;
        Ok(Self { service, faults, journal, server: Arc::new(server) })
    }

    /// The base URL, without a slash and without a version at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What the model was asked so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.service.ledger()
    }

    /// The failures on order.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How long each request took here.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Changes how long the model thinks.
    pub fn set_generate_delay(&self, delay: Duration) {
        *self.service.delay.lock().unwrap_or_else(PoisonError::into_inner) = delay;
    }
}

impl Service {
    fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn delay(&self) -> Duration {
        *self.delay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key comes in a header or in the query; no key and a wrong key are different errors.
    fn authorize(&self, headers: &HeaderMap, query: &str) -> Result<(), Refusal> {
        let header = headers.get("x-goog-api-key").and_then(|value| value.to_str().ok());
        let key = header.or_else(|| parameter(query, "key")).ok_or_else(Refusal::no_key)?;
        if key == self.api_key { Ok(()) } else { Err(Refusal::invalid_key()) }
    }

    /// Writes the answer and remembers the question.
    fn answer(&self, model: &str, request: &Request) -> Value {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = dreams::answer(&request.question, ledger.requests.len());
        ledger.requests.push(Asked {
            model: model.to_owned(),
            system_instruction: request.system_instruction.clone(),
            user_text: request.user_text.clone(),
            generation_config: request.generation_config.clone(),
            thinking_config: request.thinking_config().cloned(),
            safety_settings: request.safety_settings.clone(),
            answer: answer.clone(),
        });
        request.shape(model, &answer)
    }
}

fn router(service: Arc<Service>) -> Router {
    let versioned = Router::new()
        .route("/models", get(list_models))
        .route("/models/{call}", get(read_model).post(generate));
    Router::new()
        .nest("/v1", versioned.clone())
        .nest("/v1beta", versioned)
        .route("/_standin/ledger", get(async |State(service): State<Arc<Service>>| Json(service.ledger())))
        .fallback(async || Refusal::not_found("Requested entity was not found."))
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

/// `POST /{version}/models/{model}:generateContent`, and `:streamGenerateContent`, whose whole answer is one event.
async fn generate(
    State(service): State<Arc<Service>>,
    Path(call): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let (model, method) = call.rsplit_once(':').unwrap_or((&call, ""));
    if !["generateContent", "streamGenerateContent"].contains(&method) {
        return Err(Refusal::not_found("Requested entity was not found."));
    }
    service.authorize(&headers, &query)?;
    let request = Request::parse(&body)?;
    if !is_served(model) {
        return Err(Refusal::unknown_model(model));
    }
    sleep(service.delay()).await;
    let answer = service.answer(model, &request);
    Ok(match (method, parameter(&query, "alt")) {
        ("streamGenerateContent", Some("sse")) => {
            ([(CONTENT_TYPE, "text/event-stream")], format!("data: {answer}\r\n\r\n")).into_response()
        }
        ("streamGenerateContent", _) => Json(json!([answer])).into_response(),
        _ => Json(answer).into_response(),
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
) -> Result<Json<Value>, Refusal> {
    service.authorize(&headers, &query.unwrap_or_default())?;
    let models = ["gemini-3.5-flash-lite", "gemini-3.8-flash", "gemini-2.5-flash"].map(model_in_json);
    Ok(Json(json!({ "models": models })))
}

async fn read_model(
    State(service): State<Arc<Service>>,
    Path(model): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    service.authorize(&headers, &query.unwrap_or_default())?;
    if is_served(&model) { Ok(Json(model_in_json(&model))) } else { Err(Refusal::unknown_model(&model)) }
}

fn model_in_json(model: &str) -> Value {
    json!({
        "name": format!("models/{model}"),
        "version": "001",
        "displayName": model,
        "description": "A model of the stand-in",
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

/// What every answer ends with.
fn with_usage(mut answer: Value, model: &str, prompt: &str, text: &str) -> Value {
    // A token is about four characters.
    let (asked, written) = (prompt.len().div_ceil(4), text.len().div_ceil(4));
    answer["usageMetadata"] = json!({
        "promptTokenCount": asked,
        "candidatesTokenCount": written,
        "totalTokenCount": asked + written,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": asked }],
    });
    answer["modelVersion"] = model.into();
    answer["responseId"] = Uuid::new_v4().simple().to_string().into();
    answer
}

#[cfg(test)]
mod tests;
