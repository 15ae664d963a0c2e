//! The account behind the fake: its voices, its limits, and a record of what happened.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::ApiError;
use super::models::Model;
use super::sample::Sample;
use super::{Config, Delays};

/// The month ends this long after the account was opened.
const MONTH_LEFT: Duration = Duration::from_hours(14 * 24);

/// The voices every account has. Names and ids are the vendor's.
const PREMADE: [(&str, &str); 4] = [
    ("21m00Tcm4TlvDq8ikWAM", "Rachel"),
    ("EXAVITQu4vr4xnSDxMaL", "Sarah"),
    ("JBFqnCBsd6RMkjVDRZzb", "George"),
    ("pNInz6obpgDQGcFmaJgB", "Adam"),
];

/// What happened at the provider. Premade voices appear nowhere in it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AccountState {
    /// Every voice that was created over the API, in order; without seeded ones.
    pub created: Vec<VoiceSummary>,
    /// Every voice that was deleted, in order.
    pub deleted: Vec<VoiceSummary>,
    /// The voices that still exist and take a slot.
    pub existing: Vec<VoiceSummary>,
    /// The largest number of voices that ever held a slot at once.
    pub max_existing: usize,
    /// Add/edit operations used this month. Deleting gives none back.
    pub add_edits_used: u32,
    /// Characters charged, by each model's factor.
    pub characters_used: u64,
    /// Every synthesis, in order.
    pub synthesized: Vec<Synthesis>,
    /// What the history holds: the syntheses that were not deleted from it.
    pub history: Vec<HistoryItem>,
}

/// A synthesis in the history.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryItem {
    pub history_item_id: String,
    pub voice_id: String,
    pub model_id: String,
    pub text: String,
    /// Characters charged.
    pub cost: u64,
    /// Seconds since 1970.
    pub created_at_unix: i64,
}

/// A voice as the state shows it.
#[derive(Debug, Clone, Serialize)]
pub struct VoiceSummary {
    pub voice_id: String,
    /// The name given at creation.
    pub name: String,
    /// `cloned`, `generated`, `professional`, …
    pub category: String,
    /// Seconds since 1970; `None` when the provider does not say.
    pub created_at: Option<i64>,
    /// The length of the recording in bytes; 0 for a seeded voice.
    pub sample_bytes: usize,
}

/// One synthesis.
#[derive(Debug, Clone, Serialize)]
pub struct Synthesis {
    pub voice_id: String,
    pub text: String,
    pub model_id: String,
    /// As it was sent.
    pub voice_settings: Option<Value>,
    /// ISO 639-1, as it was sent.
    pub language_code: Option<String>,
    /// For example `mp3_44100_128`.
    pub output_format: String,
    /// Characters charged.
    pub cost: u64,
}

/// A voice that exists.
#[derive(Clone)]
pub(super) struct Voice {
    pub id: String,
    pub name: String,
    pub category: String,
    pub description: Option<String>,
    pub labels: Value,
    pub created_at_unix: Option<i64>,
    pub requires_verification: bool,
    sample_bytes: usize,
    listed_from: Instant,
}

/// A request to clone a voice.
pub(super) struct NewVoice {
    pub name: String,
    pub description: Option<String>,
    pub labels: Value,
    pub samples: Vec<Sample>,
}

pub(super) struct Account {
    config: Config,
    opened_at_unix: i64,
    state: Mutex<State>,
}

struct State {
    voices: Vec<Voice>,
    /// Entries of every list, as they are.
    odd_voices: Vec<Value>,
    record: AccountState,
    delays: Delays,
    list_lag: Duration,
    requires_verification: bool,
    /// Syntheses in progress: of the standard models, and of the fast ones.
    in_progress: [usize; 2],
}

impl Account {
    pub fn new(config: Config) -> Self {
        let voices = PREMADE.map(|(id, name)| Voice {
            id: id.to_owned(),
            ..Voice::new(name, "premade", Some(1_680_000_000), Instant::now())
        });
        let state = State {
            voices: voices.to_vec(),
            odd_voices: Vec::new(),
            record: AccountState::default(),
            delays: config.delays,
            list_lag: Duration::ZERO,
            requires_verification: false,
            in_progress: [0, 0],
        };
        Self { config, opened_at_unix: unix_now(), state: Mutex::new(state) }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn reset_at_unix(&self) -> i64 {
        self.opened_at_unix + MONTH_LEFT.as_secs().cast_signed()
    }

    pub fn state(&self) -> AccountState {
        let state = self.lock();
        let existing = state.voices.iter().filter(|voice| voice.takes_slot()).map(Voice::summary).collect();
        AccountState { existing, ..state.record.clone() }
    }

    pub fn delays(&self) -> Delays {
        self.lock().delays
    }

    pub fn set_delays(&self, delays: Delays) {
        self.lock().delays = delays;
    }

    pub fn set_list_lag(&self, lag: Duration) {
        self.lock().list_lag = lag;
    }

    pub fn set_requires_verification(&self, required: bool) {
        self.lock().requires_verification = required;
    }

    /// Checks the `xi-api-key` header.
    pub fn authorize(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        match headers.get("xi-api-key") {
            None => Err(ApiError::needs_authorization()),
            Some(key) if key.as_bytes() == self.config.api_key.as_bytes() => Ok(()),
            Some(_) => Err(ApiError::invalid_api_key()),
        }
    }

    pub fn seed_voice(&self, name: &str, category: &str, created_at_unix: Option<i64>) -> String {
        let voice = Voice::new(name, category, created_at_unix, Instant::now());
        let id = voice.id.clone();
        self.lock().add(voice);
        id
    }

    pub fn seed_odd_voice(&self, entry: Value) {
        self.lock().odd_voices.push(entry);
    }

    pub fn odd_voices(&self) -> Vec<Value> {
        self.lock().odd_voices.clone()
    }

    pub fn history_item(&self, id: &str) -> Result<HistoryItem, ApiError> {
        let found = self.lock().record.history.iter().find(|item| item.history_item_id == id).cloned();
        found.ok_or_else(|| ApiError::unknown_history_item(id))
    }

    pub fn delete_history_item(&self, id: &str) -> Result<(), ApiError> {
        let history = &mut self.lock().record.history;
        let at = history.iter().position(|item| item.history_item_id == id);
        history.remove(at.ok_or_else(|| ApiError::unknown_history_item(id))?);
        Ok(())
    }

    /// Fails where [`Self::create`] would, before the client has waited for it.
    pub fn check_limits(&self) -> Result<(), ApiError> {
        self.lock().check_limits(&self.config)
    }

    /// Checks the limits and adds the voice under one lock: no race can exceed them.
    pub fn create(&self, new: NewVoice) -> Result<Voice, ApiError> {
        let mut state = self.lock();
        state.check_limits(&self.config)?;
        let voice = Voice {
            description: new.description,
            labels: new.labels,
            sample_bytes: new.samples.iter().map(|sample| sample.bytes).sum(),
            requires_verification: state.requires_verification,
            ..Voice::new(&new.name, "cloned", Some(unix_now()), Instant::now() + state.list_lag)
        };
        state.record.add_edits_used += 1;
        state.record.created.push(voice.summary());
        state.add(voice.clone());
        Ok(voice)
    }

    pub fn delete(&self, id: &str) -> Result<(), ApiError> {
        let mut state = self.lock();
        let at = state.voices.iter().position(|voice| voice.id == id);
        let voice = state.voices.remove(at.ok_or_else(|| ApiError::unknown_voice(id))?);
        state.record.deleted.push(voice.summary());
        Ok(())
    }

    pub fn voice(&self, id: &str) -> Result<Voice, ApiError> {
        let found = self.lock().voices.iter().find(|voice| voice.id == id).cloned();
        found.ok_or_else(|| ApiError::unknown_voice(id))
    }

    /// Every voice that is listed by now, oldest first.
    pub fn listed(&self) -> Vec<Voice> {
        let now = Instant::now();
        self.lock().voices.iter().filter(|voice| voice.listed_from <= now).cloned().collect()
    }

    /// Counts one of the plan's concurrent requests, charges the characters, and notes the text in the history under
    /// the given id.
    pub fn start_synthesis(
        self: &Arc<Self>,
        model: &Model,
        synthesis: Synthesis,
        history_item_id: Option<&str>,
    ) -> Result<SynthesisPermit, ApiError> {
        let group = usize::from(model.fast);
        let maximum = self.config.concurrency * (group + 1);
        let mut state = self.lock();
        let left = self.config.character_limit - state.record.characters_used;
        if synthesis.cost > left {
            return Err(ApiError::quota_exceeded(self.config.character_limit, left, synthesis.cost));
        }
        if state.in_progress[group] >= maximum {
            return Err(ApiError::too_many_concurrent_requests(maximum));
        }
        state.in_progress[group] += 1;
        state.record.characters_used += synthesis.cost;
        state.record.history.extend(history_item_id.map(|id| HistoryItem {
            history_item_id: id.to_owned(),
            voice_id: synthesis.voice_id.clone(),
            model_id: synthesis.model_id.clone(),
            text: synthesis.text.clone(),
            cost: synthesis.cost,
            created_at_unix: unix_now(),
        }));
        state.record.synthesized.push(synthesis);
        Ok(SynthesisPermit { account: Arc::clone(self), group, current: state.in_progress[group], maximum })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_limits(&self, config: &Config) -> Result<(), ApiError> {
        let used = self.slots_used();
        if used >= config.voice_limit {
            return Err(ApiError::voice_limit_reached(used, config.voice_limit));
        }
        match config.max_voice_add_edits {
            Some(max) if self.record.add_edits_used >= max => {
                Err(ApiError::voice_add_edit_limit_reached(max))
            }
            _ => Ok(()),
        }
    }

    fn add(&mut self, voice: Voice) {
        self.voices.push(voice);
        self.record.max_existing = self.record.max_existing.max(self.slots_used());
    }

    fn slots_used(&self) -> usize {
        self.voices.iter().filter(|voice| voice.takes_slot()).count()
    }
}

impl Voice {
    fn new(name: &str, category: &str, created_at_unix: Option<i64>, listed_from: Instant) -> Self {
        Self {
            id: random_id(),
            name: name.to_owned(),
            category: category.to_owned(),
            description: None,
            labels: json!({}),
            created_at_unix,
            requires_verification: false,
            sample_bytes: 0,
            listed_from,
        }
    }

    pub fn is_premade(&self) -> bool {
        self.category == "premade"
    }

    fn takes_slot(&self) -> bool {
        !self.is_premade()
    }

    fn summary(&self) -> VoiceSummary {
        VoiceSummary {
            voice_id: self.id.clone(),
            name: self.name.clone(),
            category: self.category.clone(),
            created_at: self.created_at_unix,
            sample_bytes: self.sample_bytes,
        }
    }
}

/// One of the plan's concurrent requests, held until the last byte of speech is sent.
pub(super) struct SynthesisPermit {
    account: Arc<Account>,
    group: usize,
    /// Requests in progress when this one started, including itself.
    pub current: usize,
    /// Requests the plan allows at once.
    pub maximum: usize,
}

impl Drop for SynthesisPermit {
    fn drop(&mut self) {
        self.account.lock().in_progress[self.group] -= 1;
    }
}

/// Twenty letters and digits, as the vendor's ids are.
pub(super) fn random_id() -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bits = Uuid::new_v4().as_u128();
    let mut letter = || {
        let index = usize::try_from(bits % 62).expect("less than 62");
        bits /= 62;
        char::from(ALPHABET[index])
    };
    (0..20).map(|_| letter()).collect()
}

#[expect(clippy::disallowed_methods, reason = "the provider has its own clock, which no test sets")]
fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    since.as_secs().cast_signed()
}
