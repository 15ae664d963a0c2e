//! One deployment to inject faults into: fakes, its own database, the real programs `perform` and `sweep`, two users with
//! recordings, and voices of other deployments at the provider.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use http::Method;
use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use serde_json::{Value, json};
use shared::{clock::Clock, env::Env};
use tests::{
    fakes::{
        elevenlabs::{self, ElevenLabs},
        gemini::Gemini,
        mongodb_wire::MongoWire,
        s3::S3,
    },
    harness::{
        self, Backend, LambdaBinaries, Options, PASSWORD, SendError, Services, SigningKey, TestClient, User,
        WEBM,
        lambda_runtime_api::{self, Failure, Function},
    },
};

/// The configured timeout of `perform` and that of its platform: the least that lets it do everything.
const PERFORM_TIMEOUT: Duration = Duration::from_secs(22);
/// The same for `sweep`.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(30);
/// One, so that a leaked slot blocks every other perform.
pub const CLONE_SLOTS: usize = 1;
const STAGE: &str = "faults";

pub struct Deployment {
    services: Services,
    backend: Backend,
    pub perform: Arc<Function>,
    pub sweep: Function,
    /// The user whose performs have the faults.
    pub ada: User,
    /// Another user of the same deployment.
    pub bob: User,
    foreign: BTreeSet<String>,
}

pub struct PerformRequest {
    pub body: Value,
    /// The `Idempotency-Key`.
    pub key: Option<String>,
}

impl PerformRequest {
    /// The body for a thought in the performer's own voice.
    pub fn routine() -> Value {
        harness::routine("Queen of Hearts")
    }
}

impl Deployment {
    /// Starts everything, with a new database on the server.
    pub async fn start(binaries: &LambdaBinaries, mongodb_uri: &str) -> Result<Self, String> {
        let key = SigningKey::generate();
        let mut given = Env::from_iter([
            ("STAGE", STAGE),
            ("MONGODB_URI", mongodb_uri),
            ("BCRYPT_COST", "4"),
            ("JWT_SIGNING_KEY", &key.private),
            ("JWT_PUBLIC_KEYS", &key.public_set),
            ("ACCESS_TOKEN_SECONDS", "86400"),
            ("MONTHLY_CHAR_LIMIT", "1000000000"),
            ("MONTHLY_CLONE_LIMIT", "1000000000"),
        ]);
        given.extend([
            ("MONGODB_DATABASE", format!("faults-{}", ObjectId::new())),
            ("CLONE_SLOTS", CLONE_SLOTS.to_string()),
            ("PERFORM_TIMEOUT_SECONDS", PERFORM_TIMEOUT.as_secs().to_string()),
        ]);
        let elevenlabs = elevenlabs::Config {
            // The backend must keep to CLONE_SLOTS by itself, not because the provider limits it.
            voice_limit: 1000,
            max_voice_add_edits: None,
            character_limit: 1_000_000_000,
            concurrency: 100,
            ..elevenlabs::Config::default()
        };
        let options = Options { given, elevenlabs, ..Options::default() };
        let mut services = Services::start(options, |_| {}).await?;
        // Before the proxy, which only the programs under test use.
        let backend = Backend::start(&services.env, &Clock::system()).await?;
        services.count_commands().await?;

        let function = async |name: &str, timeout| {
            let options = lambda_runtime_api::Options {
                name: name.to_owned(),
                timeout,
                ..lambda_runtime_api::Options::default()
            };
            let started = Function::spawn(binaries.path(name)?, services.env.clone(), options).await;
            started.map_err(|failure| format!("{name}: {failure}"))
        };
        let (perform, sweep) =
            (function("perform", PERFORM_TIMEOUT).await?, function("sweep", SWEEP_TIMEOUT).await?);
        let provider = services.elevenlabs.as_ref().ok_or("The ElevenLabs fake does not run.")?;
        let foreign = seed_foreign_voices(provider);
        let ada = register(&backend).await?;
        let bob = register(&backend).await?;
        Ok(Self { services, backend, perform: Arc::new(perform), sweep, ada, bob, foreign })
    }

    pub fn wire(&self) -> &MongoWire {
        self.services.wire.as_ref().expect("started so")
    }

    pub fn s3(&self) -> &S3 {
        self.services.s3.as_ref().expect("started so")
    }

    pub fn elevenlabs(&self) -> &ElevenLabs {
        self.services.elevenlabs.as_ref().expect("started so")
    }

    pub fn gemini(&self) -> &Gemini {
        self.services.gemini.as_ref().expect("started so")
    }

    /// Removes every fault, and forgets the requests received.
    pub fn heal(&self) {
        self.wire().set_down(false);
        self.wire().reset();
        self.s3().reset();
        for faults in [self.elevenlabs().faults(), self.gemini().faults()] {
            faults.clear();
        }
        for requests in [self.elevenlabs().requests(), self.gemini().requests()] {
            requests.clear();
        }
    }

    /// Invokes the real program `perform`.
    pub async fn perform(
        &self,
        user: &User,
        request: &PerformRequest,
    ) -> Result<harness::Response, SendError> {
        let sent = TestClient::function(&self.perform).perform(user, &request.body);
        let sent = if let Some(key) = &request.key { sent.key(key) } else { sent };
        sent.send().await
    }

    /// Invokes the real program `sweep`.
    pub async fn sweep(&self) -> Result<Value, Failure> {
        self.sweep.invoke(&json!({})).await
    }

    /// Moves the expiry of every lease into the past. Leases use the database's clock, which cannot be set.
    pub async fn expire_leases(&self) -> Result<(), String> {
        let past = DateTime::from_millis(0);
        let held = doc! { "$map": {
            "input": { "$ifNull": ["$held", []] },
            "in": { "$mergeObjects": ["$$this", { "until": past }] },
        } };
        let leased = doc! { "lease.until": { "$exists": true } };
        let changed = async {
            let slots = self.collection("clone_slots");
            slots.update_many(doc! {}, vec![doc! { "$set": { "held": held } }]).await?;
            self.collection("users").update_many(leased, doc! { "$set": { "lease.until": past } }).await?;
            Ok(())
        };
        changed.await.map_err(|error: mongodb::error::Error| format!("The leases cannot be changed: {error}"))
    }

    /// The characters charged to a user; 0 if the user does not exist.
    pub async fn charged(&self, user: &User) -> Result<i64, String> {
        let id = ObjectId::parse_str(&user.id).map_err(|error| format!("Not an id: {error}."))?;
        let stored = self.collection("users").find_one(doc! { "_id": id }).await;
        let stored = stored.map_err(|error| format!("The user cannot be read: {error}"))?;
        let chars = stored.and_then(|user| user.get_document("usage").ok()?.get_i64("chars").ok());
        Ok(chars.unwrap_or(0))
    }

    /// Descriptions of what is held in the database.
    pub async fn held(&self) -> Result<Vec<String>, String> {
        let mut held = Vec::new();
        let slots = self.collection("clone_slots").find_one(doc! {}).await;
        let slots = slots.map_err(|error| format!("The slots cannot be read: {error}"))?;
        for slot in slots.iter().flat_map(|slots| slots.get_array("held").into_iter().flatten()) {
            held.push(format!("a slot is held: {slot}"));
        }
        for (what, filter) in [
            ("a lease is held", doc! { "lease": { "$exists": true, "$ne": null } }),
            ("a voice id is recorded", doc! { "voice_clone_id": { "$exists": true, "$ne": null } }),
        ] {
            let users = self.collection("users").count_documents(filter).await;
            if users.map_err(|error| format!("The users cannot be counted: {error}"))? > 0 {
                held.push(what.to_owned());
            }
        }
        Ok(held)
    }

    /// The voices of this deployment that still exist at the provider.
    pub fn existing(&self) -> Vec<String> {
        let existing = self.elevenlabs().state().existing.into_iter();
        existing.filter(|voice| !self.foreign.contains(&voice.voice_id)).map(|voice| voice.name).collect()
    }

    /// How many foreign voices were deleted.
    pub fn foreign_deleted(&self) -> usize {
        let existing = self.elevenlabs().state().existing;
        self.foreign.len() - existing.iter().filter(|voice| self.foreign.contains(&voice.voice_id)).count()
    }

    /// The most voices of this deployment that ever existed at once, as long as no foreign one was deleted.
    pub fn max_existing(&self) -> usize {
        self.elevenlabs().state().max_existing - self.foreign.len()
    }

    /// The keys of the S3 objects of a user.
    pub fn objects_of(&self, user: &User) -> Vec<String> {
        self.s3().keys().into_iter().filter(|key| key.contains(&user.id)).collect()
    }

    /// Deletes the account of the first user.
    pub async fn delete_account(&self) -> Result<(), String> {
        let client = TestClient::router(&self.backend.routes);
        let request = client.request(Method::DELETE, "/users/me").user(&self.ada);
        request.json(&json!({ "password": PASSWORD })).send_successfully().await.map(drop)
    }

    /// Replaces the first user with a new one.
    pub async fn register_again(&mut self) -> Result<(), String> {
        self.ada = register(&self.backend).await?;
        Ok(())
    }

    fn collection(&self, name: &str) -> mongodb::Collection<Document> {
        self.backend.database.collection(name)
    }
}

/// Seeds voices that a sweep must not delete; more than a page of the provider's list.
fn seed_foreign_voices(provider: &ElevenLabs) -> BTreeSet<String> {
    let mut names: Vec<String> = (0..100).map(|number| format!("A narrator {number}")).collect();
    names.extend([
        format!("newvisions:{STAGE}-eu:{}", ObjectId::new()),
        format!("newvisions:prod:{}", ObjectId::new()),
        format!("newvisions:{STAGE}:00112233aabbccdd:{}", ObjectId::new()),
        format!("newvisions:{STAGE}:{}", ObjectId::new()),
        format!("newvisions:{STAGE}:"),
        format!("newvisions:{STAGE}:my favourite"),
        format!(" newvisions:{STAGE}:{}", ObjectId::new()),
    ]);
    // Created long ago, so listed before or after those of this deployment.
    names.iter().map(|name| provider.seed_voice(name, "cloned", Some(1_700_000_000))).collect()
}

/// Registers a user and uploads a recording.
async fn register(backend: &Backend) -> Result<User, String> {
    let code = backend.activation_code().await.map_err(|error| format!("No activation code: {error}."))?;
    let client = TestClient::router(&backend.routes);
    let registered = client.register(&ObjectId::new().to_hex(), code.as_str()).send_successfully().await?;
    let user = User::signed_in(&registered, code.as_str().to_owned());
    client.upload(&user, "audio/webm", WEBM).send_successfully().await?;
    Ok(user)
}
