//! A stand-in of the voice provider: one account whose voices come and go, and which can say afterwards what
//! happened.
//!
//! It answers on the paths, with the fields and with the error bodies of <https://elevenlabs.io/docs/api-reference>,
//! as far as cloning a voice, speaking with it and looking after the account go. The official SDKs work against
//! it. A developer reads its books at `GET /_standin/ledger`.

mod account;
mod models;
mod refusal;
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
pub use self::account::{Ledger, LedgerVoice, Synthesis};
use self::refusal::Refusal;
use super::faults::{Faults, Operation};
use super::journal::Journal;
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
    /// How long the provider thinks.
    pub delays: Delays,
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
}

impl Default for Config {
    /// The Creator plan with ten slots, answering at once on a free port.
    fn default() -> Self {
        Self {
            api_key: "standin-elevenlabs-key".to_owned(),
            voice_limit: 10,
            max_voice_add_edits: Some(95),
            character_limit: 100_000,
            concurrency: 5,
            delays: Delays::default(),
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

/// How long the provider thinks before it answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delays {
    /// Before a cloned voice exists.
    pub create: Duration,
    /// Before the first byte of speech.
    pub first_byte: Duration,
    /// Before a deleted voice is gone.
    pub delete: Duration,
}

/// A running stand-in. Clones are the same one; it stops when the last of them is dropped.
#[derive(Clone)]
pub struct ElevenLabs {
    account: Arc<Account>,
    faults: Faults,
    journal: Journal,
    server: Arc<Server>,
}

impl ElevenLabs {
    /// Starts listening.
    pub async fn start(config: Config) -> io::Result<Self> {
        let bind = config.bind;
        let account = Arc::new(Account::new(config));
        let (faults, journal) = (Faults::default(), Journal::default());
        let router = router(Arc::clone(&account));
        let server = Server::start(bind, router, operation, faults.clone(), journal.clone()).await?;
        Ok(Self { account, faults, journal, server: Arc::new(server) })
    }

    /// The base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What happened so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.account.ledger()
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

    /// Puts a voice there that nobody created over the API and returns its id. It takes a slot unless `category`
    /// is `premade`, but is no add/edit operation.
    #[must_use]
    pub fn seed_voice(&self, name: &str, category: &str, created_at_unix: Option<i64>) -> String {
        self.account.plant(name, category, created_at_unix)
    }

    /// Changes how long the provider thinks.
    pub fn set_delays(&self, delays: Delays) {
        self.account.set_delays(delays);
    }

    /// Voices created from now on appear in listings only after `lag`. By id they are found at once.
    pub fn set_list_lag(&self, lag: Duration) {
        self.account.set_list_lag(lag);
    }

    /// Whether voices created from now on need a verification first, which makes them unusable.
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
        .route("/v1/text-to-speech/{voice_id}", post(synthesis::speak))
        .route("/v1/text-to-speech/{voice_id}/stream", post(synthesis::speak))
        .route("/v1/user/subscription", get(subscription))
        .route("/v1/models", get(models::list))
        .route("/_standin/ledger", get(async |State(account): State<Arc<Account>>| Json(account.ledger())))
        .fallback(async || Refusal::bare(404, "Not Found"))
        .method_not_allowed_fallback(async || Refusal::bare(405, "Method Not Allowed"))
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
        ("GET", ["v1" | "v2", "voices"]) => Some(Operation::List),
        ("GET", ["v1", "voices", _]) => Some(Operation::Get),
        ("GET", ["v1", "user", "subscription"]) => Some(Operation::Subscription),
        ("GET", ["v1", "models"]) => Some(Operation::Models),
        _ => None,
    }
}

/// <https://elevenlabs.io/docs/api-reference/user/subscription/get>, with every field that the SDKs insist on.
async fn subscription(
    State(account): State<Arc<Account>>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    account.authorize(&headers)?;
    let ledger = account.ledger();
    let config = account.config();
    Ok(Json(json!({
        "tier": "creator",
        "character_count": ledger.characters_used,
        "character_limit": config.character_limit,
        "max_character_limit_extension": null,
        "max_credit_limit_extension": 0,
        "can_extend_character_limit": true,
        "allowed_to_extend_character_limit": true,
        "next_character_count_reset_unix": account.reset_at_unix(),
        "voice_slots_used": ledger.living.len(),
        "professional_voice_slots_used": 0,
        "professional_voice_slots_used_in_workspace": 0,
        "voice_limit": config.voice_limit,
        "max_voice_add_edits": config.max_voice_add_edits,
        "voice_add_edit_counter": ledger.add_edits_used,
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
