//! A fake of `ElevenLabs`: one account with its voices and limits, which records what happened.
//!
//! It has the paths, fields and error bodies of <https://elevenlabs.io/docs/api-reference> for cloning a voice,
//! synthesis, its history and the subscription. The official SDKs work against it. `GET /_fake/state` shows what happened.

mod account;
mod error;
mod history;
mod models;
mod sample;
mod speech;
mod synthesis;
mod voices;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method};
use axum::response::Json;
use axum::routing::{get, post};
use serde_json::{Value, json};

use self::account::Account;
pub use self::account::{AccountState, HistoryItem, Synthesis, VoiceSummary};
use self::error::ApiError;
use super::faults::{Faults, Operation};
use super::requests::RequestLog;
use super::server::Server;

/// The account to imitate.
#[derive(Debug, Clone)]
pub struct Config {
    /// The only key that is accepted.
    pub api_key: String,
    /// Voice slots; premade voices need none.
    pub voice_limit: usize,
    /// Voices that may be added or edited in the month; `None` for a plan without this limit.
    pub max_voice_add_edits: Option<u32>,
    /// Characters of the month.
    pub character_limit: u64,
    /// Syntheses at once; models of the Flash and Turbo families get twice as many.
    pub concurrency: usize,
    /// How long operations take.
    pub delays: Delays,
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
}

impl Default for Config {
    /// The Creator plan with ten slots, without delays, on a free port.
    fn default() -> Self {
        Self {
            api_key: "fake-elevenlabs-key".to_owned(),
            voice_limit: 10,
            max_voice_add_edits: Some(95),
            character_limit: 100_000,
            concurrency: 5,
            delays: Delays::default(),
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

/// How long operations take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delays {
    /// Before a cloned voice exists.
    pub create: Duration,
    /// Before the first byte of speech.
    pub first_byte: Duration,
    /// Before a deleted voice is gone.
    pub delete: Duration,
    /// Before each page of a list of voices.
    pub list: Duration,
}

/// A running fake. Clones share it; it stops when the last one is dropped.
#[derive(Clone)]
pub struct ElevenLabs {
    account: Arc<Account>,
    faults: Faults,
    requests: RequestLog,
    server: Arc<Server>,
}

impl ElevenLabs {
    /// Starts listening.
    pub async fn start(config: Config) -> io::Result<Self> {
        let bind = config.bind;
        let account = Arc::new(Account::new(config));
        let (faults, requests) = (Faults::default(), RequestLog::default());
        let router = router(Arc::clone(&account));
        let server = Server::start(bind, router, operation, faults.clone(), requests.clone()).await?;
        Ok(Self { account, faults, requests, server: Arc::new(server) })
    }

    /// The base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What happened so far.
    #[must_use]
    pub fn state(&self) -> AccountState {
        self.account.state()
    }

    /// The injected faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The requests received, and how long each took.
    #[must_use]
    pub fn requests(&self) -> &RequestLog {
        &self.requests
    }

    /// Adds a voice without an API call and returns its id. It takes a slot unless `category` is `premade`, but is no
    /// add/edit operation.
    #[must_use]
    pub fn seed_voice(&self, name: &str, category: &str, created_at_unix: Option<i64>) -> String {
        self.account.seed_voice(name, category, created_at_unix)
    }

    /// Adds an entry to every list of voices as it is, whatever is searched for: what a client may not understand, such
    /// as a voice without a name. It exists nowhere else.
    pub fn seed_odd_voice(&self, entry: Value) {
        self.account.seed_odd_voice(entry);
    }

    /// From now on, requests over the connections that exist are swallowed, as after their client was frozen.
    pub fn freeze_connections(&self) {
        self.server.freeze_connections();
    }

    /// Changes how long operations take.
    pub fn set_delays(&self, delays: Delays) {
        self.account.set_delays(delays);
    }

    /// Voices created from now on are listed only after `lag`, but found by id at once.
    pub fn set_list_lag(&self, lag: Duration) {
        self.account.set_list_lag(lag);
    }

    /// Whether voices created from now on require verification, which makes them unusable.
    pub fn set_requires_verification(&self, required: bool) {
        self.account.set_requires_verification(required);
    }
}

fn router(account: Arc<Account>) -> Router {
    Router::new()
        .route("/v1/voices/add", post(voices::add))
        .route("/v1/voices", get(voices::list))
        .route("/v2/voices", get(voices::search))
        .route("/v1/voices/{voice_id}", get(voices::read).delete(voices::delete))
        .route("/v1/text-to-speech/{voice_id}", post(synthesis::synthesize))
        .route("/v1/text-to-speech/{voice_id}/stream", post(synthesis::synthesize))
        .route("/v1/history/{history_item_id}", get(history::read).delete(history::delete))
        .route("/v1/user/subscription", get(subscription))
        .route("/v1/models", get(models::list))
        .route("/_fake/state", get(async |State(account): State<Arc<Account>>| Json(account.state())))
        .fallback(async || ApiError::bare(404, "Not Found"))
        .method_not_allowed_fallback(async || ApiError::bare(405, "Method Not Allowed"))
        .layer(DefaultBodyLimit::disable())
        .with_state(account)
}

fn operation(method: &Method, path: &str) -> Option<Operation> {
    match (method.as_str(), path.trim_matches('/').split('/').collect::<Vec<_>>().as_slice()) {
        ("POST", ["v1", "voices", "add"]) => Some(Operation::Create),
        ("POST", ["v1", "text-to-speech", _] | ["v1", "text-to-speech", _, "stream"]) => {
            Some(Operation::Synthesize)
        }
        ("DELETE", ["v1", "voices", _]) => Some(Operation::Delete),
        ("DELETE", ["v1", "history", _]) => Some(Operation::DeleteHistory),
        ("GET", ["v1", "history", _]) => Some(Operation::GetHistory),
        ("GET", ["v1" | "v2", "voices"]) => Some(Operation::List),
        ("GET", ["v1", "voices", _]) => Some(Operation::Get),
        ("GET", ["v1", "user", "subscription"]) => Some(Operation::Subscription),
        ("GET", ["v1", "models"]) => Some(Operation::Models),
        _ => None,
    }
}

/// <https://elevenlabs.io/docs/api-reference/user/subscription/get>, with every field that the SDKs require.
async fn subscription(
    State(account): State<Arc<Account>>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    account.authorize(&headers)?;
    let state = account.state();
    let config = account.config();
    Ok(Json(json!({
        "tier": "creator",
        "character_count": state.characters_used,
        "character_limit": config.character_limit,
        "max_character_limit_extension": null,
        "max_credit_limit_extension": 0,
        "can_extend_character_limit": true,
        "allowed_to_extend_character_limit": true,
        "next_character_count_reset_unix": account.reset_at_unix(),
        "voice_slots_used": state.existing.len(),
        "professional_voice_slots_used": 0,
        "professional_voice_slots_used_in_workspace": 0,
        "voice_limit": config.voice_limit,
        "max_voice_add_edits": config.max_voice_add_edits,
        "voice_add_edit_counter": state.add_edits_used,
        "professional_voice_limit": 1,
        "can_extend_voice_limit": false,
        "can_use_instant_voice_cloning": true,
        "can_use_professional_voice_cloning": true,
        "currency": "usd",
        "current_overage": { "amount": "0", "currency": "usd" },
        "status": "active",
        "billing_period": "monthly_period",
        "character_refresh_period": "monthly_period",
        "next_invoice": null,
        "open_invoices": [],
        "has_open_invoices": false,
        "cancels_immediately": null,
        "pending_change": null,
    })))
}

#[cfg(test)]
mod tests;
