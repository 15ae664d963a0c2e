//! The collection `clone_slots`: which voices this deployment may have at the provider right now.
//!
//! One document per stage lists the held slots. Claiming one is a single atomic update, guarded by the list's length, so
//! no more than `CLONE_SLOTS` are ever held. A slot's record is written before the voice is created: after a crash it
//! tells the sweep what to look for. A slot with an expired lease stays held; only the sweep frees it, once its voice is
//! confirmed deleted.
//!
//! The document also holds the deployment's id, which is part of its voices' names. The first claim makes it.
//!
//! FIFO queue: a failed claim enqueues the caller; entries that are not refreshed within [`QUEUE_TTL`] (a perform that
//! gave up, or died) are dropped.

use std::time::Duration;

use mongodb::{
    Collection, Database,
    bson::{DateTime, Document, doc, oid::ObjectId},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Clock,
    env::{Env, EnvError},
    error::Error,
    mongo, voice_name,
};

/// For how long performs create no voice after the provider said that the account has no characters left: each would
/// spend one of the month's voice creations for nothing.
const CREDITS_MEMORY: Duration = Duration::from_mins(1);

/// How long the sweep tries to delete an item of the provider's history.
const HISTORY_RETRY_MILLIS: i64 = 30 * 24 * 60 * 60 * 1000;

/// How long a waiter stays queued without claiming again: several times the interval between two claims.
pub const QUEUE_TTL: Duration = Duration::from_millis(1500);

/// The slots of this deployment. Cheap to clone.
#[derive(Clone)]
pub struct CloneSlots {
    collection: Collection<Document>,
    stage: String,
    limit: u32,
    clock: Clock,
}

/// The right to have one voice at the provider. It must be released: by [`CloneSlots::free`] once the voice is
/// confirmed deleted, or by [`CloneSlots::orphan`] if it may still exist.
#[derive(Debug)]
#[must_use = "a slot that is not released stays held until the sweep"]
pub struct Slot {
    pub lease_id: ObjectId,
    pub user_id: ObjectId,
    /// The deployment's id, for the voice's name.
    pub deployment: String,
}

/// For how long a slot, and its user's lease, are kept for a voice that may exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// After this time, a sweep finds the voice or may take it that there is none.
    For(Duration),
    /// Nobody knows until the lease expires.
    ToTheEnd,
}

/// What a claim found.
#[derive(Debug)]
pub enum Claim {
    /// The slot, and the number of held slots.
    Granted(Slot, u64),
    /// None is free for this caller yet.
    Queued,
    /// The provider said within the last minute that the account has no characters left.
    CreditsExhausted { resets_in: Duration },
}

/// A held slot, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldSlot {
    pub lease_id: ObjectId,
    pub user_id: ObjectId,
    /// When the lease expires, by the database's clock.
    #[serde(rename = "until")]
    pub expires_at: DateTime,
    /// Once the voice is created.
    #[serde(default)]
    pub voice_id: Option<String>,
    /// When the voice was created.
    #[serde(default)]
    pub created_at: Option<DateTime>,
    /// Whether its perform could not delete the voice.
    #[serde(default)]
    pub orphaned: bool,
}

/// A stage's document.
#[derive(Debug, Deserialize)]
struct Slots {
    #[serde(default)]
    held: Vec<HeldSlot>,
    deployment: String,
    /// When it was read, by the database's clock.
    asked_at: DateTime,
    #[serde(default)]
    credits_exhausted: Option<CreditsExhausted>,
}

/// That the account has no characters left.
#[derive(Debug, Serialize, Deserialize)]
struct CreditsExhausted {
    /// Until when this is believed, by the database's clock.
    until: DateTime,
    resets_at: DateTime,
}

/// An item of the provider's history that is to be deleted.
#[derive(Clone, Debug, Deserialize)]
pub struct PendingHistory {
    #[serde(rename = "history_id")]
    pub id: String,
}

/// The held slots by whether their lease expired, by the database's clock.
///
/// An orphan with a voice id counts as expired immediately: its perform has ended. An orphan without one (its create
/// was not answered) stays live until its lease expires, because the voice may still appear.
#[derive(Debug, Default, Deserialize)]
pub struct SlotsByState {
    /// Their performs may still be running.
    pub live: Vec<HeldSlot>,
    pub expired: Vec<HeldSlot>,
    /// The deployment's id; `None` if it has never claimed a slot.
    #[serde(default)]
    pub deployment: Option<String>,
    /// What performs could not delete from the provider's history.
    #[serde(default)]
    pub history_pending: Vec<PendingHistory>,
    /// When they were read, by the database's clock.
    #[serde(default)]
    pub asked_at: Option<DateTime>,
}

impl SlotsByState {
    /// The time until a slot may be free. `busy` is how long a perform takes, and slots that are kept for a voice that
    /// may exist say so themselves.
    #[must_use]
    pub fn free_in(&self, busy: Duration) -> Duration {
        let rest = |slot: &HeldSlot| {
            let rest = slot.expires_at.timestamp_millis() - self.asked_at?.timestamp_millis();
            slot.orphaned.then(|| Duration::from_millis(u64::try_from(rest).unwrap_or(0)))
        };
        self.live.iter().map(|slot| rest(slot).unwrap_or(busy)).min().unwrap_or(busy)
    }
}

impl CloneSlots {
    /// Reads `CLONE_SLOTS`, their number (default 10, the provider's own limit).
    pub fn from_env(env: &Env, database: &Database, clock: Clock) -> Result<Self, EnvError> {
        let limit = env.parse_or("CLONE_SLOTS", 10)?;
        if limit == 0 {
            return Err(EnvError::Malformed { name: "CLONE_SLOTS", expected: "a number from 1" });
        }
        Ok(Self {
            collection: database.collection("clone_slots"),
            stage: env.stage().to_owned(),
            limit,
            clock,
        })
    }

    /// Claims a slot for a lease. If none is free for this caller yet, it is queued, as long as it claims again within
    /// [`QUEUE_TTL`]. One round trip.
    pub async fn claim(&self, lease_id: ObjectId, user_id: ObjectId, ttl: Duration) -> Result<Claim, Error> {
        let slot = doc! {
            "lease_id": lease_id, "user_id": user_id, "until": mongo::from_now(ttl),
            "voice_id": null, "created_at": null, "orphaned": false,
        };
        let update = vec![
            drop_expired_waiters(),
            compute_position(lease_id),
            compute_free(self.limit),
            grant_or_enqueue(slot, lease_id),
            doc! { "$unset": ["position", "free"] },
            doc! { "$set": { "deployment": {
                "$ifNull": ["$deployment", voice_name::new_deployment_id()],
            } } },
            doc! { "$set": { "asked_at": "$$NOW" } },
        ];
        let collection = self.collection.clone_with_type::<Slots>();
        let claimed = collection
            .find_one_and_update(self.stage_filter(), update)
            .upsert(true)
            .return_document(ReturnDocument::After);
        match mongo::with_timeout(claimed).await {
            Ok(Some(Slots { held, deployment, asked_at, credits_exhausted })) => {
                if held.iter().any(|slot| slot.lease_id == lease_id) {
                    return Ok(Claim::Granted(Slot { lease_id, user_id, deployment }, held.len() as u64));
                }
                Ok(match credits_exhausted.filter(|exhausted| exhausted.until > asked_at) {
                    Some(CreditsExhausted { resets_at, .. }) => {
                        let millis = resets_at.timestamp_millis() - asked_at.timestamp_millis();
                        let resets_in = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
                        Claim::CreditsExhausted { resets_in }
                    }
                    None => Claim::Queued,
                })
            }
            Ok(None) => Ok(Claim::Queued),
            // Two first claims of a new deployment raced; the caller claims again.
            Err(error) if mongo::is_duplicate(&error) => Ok(Claim::Queued),
            Err(error) => Err(error.into()),
        }
    }

    /// Records the voice that exists in a slot.
    pub async fn record_voice_id(&self, slot: &Slot, voice_id: &str) -> Result<(), Error> {
        self.set(slot.lease_id, doc! { "held.$.voice_id": voice_id, "held.$.created_at": self.clock.now() })
            .await
    }

    /// Releases a slot whose voice is confirmed deleted, and leaves items of the provider's history to the sweep.
    pub async fn free(&self, slot: Slot, history: &[String]) -> Result<(), Error> {
        let mut update = doc! { "$pull": { "held": { "lease_id": slot.lease_id } } };
        if !history.is_empty() {
            update.insert("$push", self.history_pending(history));
        }
        mongo::with_timeout(self.collection.update_one(self.stage_filter(), update)).await?;
        Ok(())
    }

    /// Leaves items of the provider's history to the sweep.
    pub async fn record_history(&self, history: &[String]) -> Result<(), Error> {
        if !history.is_empty() {
            let update = doc! { "$push": self.history_pending(history) };
            let updated = self.collection.update_one(self.stage_filter(), update).upsert(true);
            mongo::with_timeout(updated).await?;
        }
        Ok(())
    }

    /// Forgets items of the provider's history that are deleted, and those that could not be for too long.
    pub async fn forget_history(&self, deleted: &[String]) -> Result<(), Error> {
        let too_old = self.clock.now().timestamp_millis() - HISTORY_RETRY_MILLIS;
        let forgotten = doc! { "$or": [
            { "history_id": { "$in": deleted } },
            { "since": { "$lt": DateTime::from_millis(too_old) } },
        ] };
        let pull = doc! { "$pull": { "history_pending": forgotten } };
        mongo::with_timeout(self.collection.update_one(self.stage_filter(), pull)).await?;
        Ok(())
    }

    /// `history_pending` holds `{history_id, since}` of each item.
    fn history_pending(&self, history: &[String]) -> Document {
        let since = self.clock.now();
        let items: Vec<Document> =
            history.iter().map(|id| doc! { "history_id": id, "since": since }).collect();
        doc! { "history_pending": { "$each": items } }
    }

    /// Leaves a slot to the sweep: its voice may still exist.
    pub async fn orphan(&self, slot: Slot, voice_id: Option<&str>, hold: Hold) -> Result<(), Error> {
        let mut changed = doc! { "orphaned": true, "voice_id": voice_id };
        if let Hold::For(time) = hold {
            changed.insert("until", doc! { "$min": ["$$this.until", mongo::from_now(time)] });
        }
        let is_this = doc! { "$eq": ["$$this.lease_id", slot.lease_id] };
        let update = vec![doc! { "$set": { "held": { "$map": { "input": "$held", "in": {
            "$cond": [is_this, { "$mergeObjects": ["$$this", changed] }, "$$this"],
        } } } } }];
        mongo::with_timeout(self.collection.update_one(self.stage_filter(), update)).await?;
        Ok(())
    }

    /// Remembers for a minute that the account has no characters left until `resets_in` from now.
    pub async fn set_credits_exhausted(&self, resets_in: Duration) -> Result<(), Error> {
        let exhausted =
            doc! { "until": mongo::from_now(CREDITS_MEMORY), "resets_at": mongo::from_now(resets_in) };
        let update = vec![doc! { "$set": { "credits_exhausted": exhausted } }];
        mongo::with_timeout(self.collection.update_one(self.stage_filter(), update)).await?;
        Ok(())
    }

    /// Frees the slot of a lease. Returns whether it was held.
    pub async fn free_lease(&self, lease_id: ObjectId) -> Result<bool, Error> {
        let pull = doc! { "$pull": { "held": { "lease_id": lease_id } } };
        Ok(mongo::with_timeout(self.collection.update_one(self.stage_filter(), pull)).await?.modified_count
            > 0)
    }

    /// Every held slot. One round trip.
    pub async fn list(&self) -> Result<SlotsByState, Error> {
        let is_orphan = doc! { "$and": ["$$this.orphaned", { "$ne": ["$$this.voice_id", null] }] };
        let expired = doc! { "$or": [{ "$lt": ["$$this.until", "$$NOW"] }, is_orphan] };
        let found = self
            .collection
            .aggregate([
                doc! { "$match": self.stage_filter() },
                doc! { "$project": {
                    "live": filter("$held", doc! { "$not": [&expired] }),
                    "expired": filter("$held", expired),
                    "deployment": 1,
                    "history_pending": 1,
                    "asked_at": "$$NOW",
                } },
            ])
            .with_type::<SlotsByState>();
        // There is one document, in the first batch.
        let mut found = mongo::with_timeout(found).await?;
        if found.advance().await? { Ok(found.deserialize_current()?) } else { Ok(SlotsByState::default()) }
    }

    async fn set(&self, lease_id: ObjectId, set: Document) -> Result<(), Error> {
        let filter = doc! { "_id": &self.stage, "held.lease_id": lease_id };
        mongo::with_timeout(self.collection.update_one(filter, doc! { "$set": set })).await?;
        Ok(())
    }

    fn stage_filter(&self) -> Document {
        doc! { "_id": &self.stage }
    }
}

/// Stage of [`CloneSlots::claim`]: removes waiters that stopped claiming.
fn drop_expired_waiters() -> Document {
    doc! { "$set": {
        "held": { "$ifNull": ["$held", []] },
        "line": filter("$line", doc! { "$gt": ["$$this.until", "$$NOW"] }),
    } }
}

/// Stage: how many waiters are ahead of this lease.
fn compute_position(lease_id: ObjectId) -> Document {
    doc! { "$set": { "position": { "$cond": [
        is_queued(lease_id),
        { "$indexOfArray": [queued_leases(), lease_id] },
        { "$size": "$line" },
    ] } } }
}

/// Stage: how many slots are free.
fn compute_free(limit: u32) -> Document {
    doc! { "$set": { "free": { "$subtract": [limit, { "$size": "$held" }] } } }
}

/// Stage: moves the lease from the queue to the held slots if one of the free slots is its own; otherwise adds it to the
/// queue, or refreshes its entry there.
fn grant_or_enqueue(slot: Document, lease_id: ObjectId) -> Document {
    let believed_until = doc! { "$ifNull": ["$credits_exhausted.until", DateTime::MIN] };
    let is_granted = doc! { "$and": [
        { "$lt": ["$position", "$free"] },
        { "$lte": [believed_until, "$$NOW"] },
    ] };
    let is_other = doc! { "$ne": ["$$this.lease_id", lease_id] };
    let entry = doc! { "lease_id": lease_id, "until": mongo::from_now(QUEUE_TTL) };
    let refreshed = doc! { "$map": { "input": "$line", "in": { "$cond": [&is_other, "$$this", &entry] } } };
    let enqueued = doc! { "$concatArrays": ["$line", [entry]] };
    doc! { "$set": {
        "held": { "$cond": [&is_granted, { "$concatArrays": ["$held", [slot]] }, "$held"] },
        "line": { "$cond": [
            is_granted,
            filter("$line", is_other),
            { "$cond": [is_queued(lease_id), refreshed, enqueued] },
        ] },
    } }
}

/// Expression: whether a lease is in the queue.
fn is_queued(lease_id: ObjectId) -> Document {
    doc! { "$in": [lease_id, queued_leases()] }
}

/// Expression: the lease ids of the queue, in its order.
fn queued_leases() -> Document {
    doc! { "$map": { "input": "$line", "in": "$$this.lease_id" } }
}

/// Expression: the elements of an array for which `condition` holds; a missing array is empty.
fn filter(array: &str, condition: Document) -> Document {
    doc! { "$filter": { "input": { "$ifNull": [array, []] }, "cond": condition } }
}
