//! The collection `clone_slots`: which voices this deployment may have at the provider right now.
//!
//! One document per stage lists the held slots. Taking one is a single atomic push that the list's length
//! guards, so no more than `CLONE_SLOTS` are ever held, whatever runs at once. A slot's record is written before
//! the provider is asked for a voice: after a crash it tells the sweep what to look for. A slot whose lease ran
//! out is still taken; only the sweep frees it, once its voice is surely gone.
//!
//! Who finds no slot stands in line by asking, and is served in the order in which they came. Whoever stops asking
//! (a perform that gave up, or died) falls out of the line.

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
    mongo,
};

/// How long whoever waits for a slot keeps their place in the line without asking again: several times as long as
/// they pause in between.
const IN_LINE: Duration = Duration::from_millis(1500);

/// The slots of this deployment. Cloning it is cheap.
#[derive(Clone)]
pub struct CloneSlots {
    collection: Collection<Document>,
    stage: String,
    limit: u32,
    clock: Clock,
}

/// The right to have one voice at the provider. It must be handed back: to [`CloneSlots::free`] when the voice is
/// surely gone, or to [`CloneSlots::orphan`] when it may live on.
#[derive(Debug)]
#[must_use = "a slot that is not handed back stays taken until the sweep"]
pub struct Slot {
    /// The perform's lease.
    pub lease_id: ObjectId,
    /// The user whose voice it is.
    pub user_id: ObjectId,
}

/// A held slot, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldSlot {
    /// The perform's lease.
    pub lease_id: ObjectId,
    /// The user whose voice it is.
    pub user_id: ObjectId,
    /// When the lease runs out, by the database's clock.
    pub until: DateTime,
    /// The voice, once the provider has said its id.
    #[serde(default)]
    pub voice_id: Option<String>,
    /// When the voice was made.
    #[serde(default)]
    pub created_at: Option<DateTime>,
    /// Whether its perform gave up deleting it.
    #[serde(default)]
    pub orphaned: bool,
}

/// A stage's document.
#[derive(Debug, Default, Deserialize)]
struct Slots {
    held: Vec<HeldSlot>,
}

/// The held slots, told apart by the database's clock.
///
/// An orphan whose voice is known counts as expired at once: its perform has given it up. An orphan whose voice is
/// not known (its create was never answered) stays live until its lease runs out, because the voice may yet appear.
#[derive(Debug, Default, Deserialize)]
pub struct SlotsByState {
    /// Their performs may still run.
    pub live: Vec<HeldSlot>,
    /// Their leases ran out.
    pub expired: Vec<HeldSlot>,
}

impl CloneSlots {
    /// The stage's slots in `database`; `CLONE_SLOTS` of them (default 10, the provider's own limit).
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

    /// Takes a slot for a lease, and tells how many are held with it; `None` if none is free for it yet: then it stands
    /// in line, as long as it asks again within [`IN_LINE`]. One round trip.
    pub async fn claim(
        &self,
        lease_id: ObjectId,
        user_id: ObjectId,
        ttl: Duration,
    ) -> Result<Option<(Slot, u64)>, Error> {
        let slot = doc! {
            "lease_id": lease_id, "user_id": user_id, "until": mongo::from_now(ttl),
            "voice_id": null, "created_at": null, "orphaned": false,
        };
        let filtered = |list: &str, condition: Document| {
            doc! { "$filter": { "input": { "$ifNull": [list, []] }, "cond": condition } }
        };
        let others = doc! { "$ne": ["$$this.lease_id", lease_id] };
        let place = doc! { "lease_id": lease_id, "until": mongo::from_now(IN_LINE) };
        let kept = doc! { "$map": {
            "input": "$line",
            "in": { "$cond": [&others, "$$this", &place] },
        } };
        let in_line = doc! { "$map": { "input": "$line", "in": "$$this.lease_id" } };
        let stands = doc! { "$in": [lease_id, &in_line] };
        let update = vec![
            doc! { "$set": {
                "held": { "$ifNull": ["$held", []] },
                "line": filtered("$line", doc! { "$gt": ["$$this.until", "$$NOW"] }),
            } },
            // Those who came before.
            doc! { "$set": { "ahead": {
                "$cond": [&stands, { "$indexOfArray": [in_line, lease_id] }, { "$size": "$line" }],
            } } },
            doc! { "$set": { "free": { "$subtract": [self.limit, { "$size": "$held" }] } } },
            doc! { "$set": {
                "held": { "$cond": [
                    { "$lt": ["$ahead", "$free"] }, { "$concatArrays": ["$held", [slot]] }, "$held",
                ] },
                "line": { "$cond": [
                    { "$lt": ["$ahead", "$free"] },
                    filtered("$line", others),
                    { "$cond": [stands, kept, { "$concatArrays": ["$line", [place]] }] },
                ] },
            } },
            doc! { "$unset": ["ahead", "free"] },
        ];
        let collection = self.collection.clone_with_type::<Slots>();
        let asked = collection
            .find_one_and_update(self.stage_filter(), update)
            .upsert(true)
            .return_document(ReturnDocument::After);
        match mongo::with_timeout(asked).await {
            Ok(slots) => {
                let held = slots.map(|slots| slots.held).unwrap_or_default();
                let is_mine = held.iter().any(|slot| slot.lease_id == lease_id);
                Ok(is_mine.then_some((Slot { lease_id, user_id }, held.len() as u64)))
            }
            // Two first claims of a new deployment met; the caller asks again.
            Err(error) if mongo::is_duplicate(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes the voice that lives in a slot.
    pub async fn record_voice_id(&self, slot: &Slot, voice_id: &str) -> Result<(), Error> {
        self.set(slot.lease_id, doc! { "held.$.voice_id": voice_id, "held.$.created_at": self.clock.now() })
            .await
    }

    /// Hands a slot back whose voice is surely gone.
    pub async fn free(&self, slot: Slot) -> Result<(), Error> {
        self.free_lease(slot.lease_id).await.map(drop)
    }

    /// Leaves a slot to the sweep: its voice, if its id is known, may live on.
    pub async fn orphan(&self, slot: Slot, voice_id: Option<&str>) -> Result<(), Error> {
        self.set(slot.lease_id, doc! { "held.$.orphaned": true, "held.$.voice_id": voice_id }).await
    }

    /// Frees the slot of a lease, if it is still held; tells whether it was.
    pub async fn free_lease(&self, lease_id: ObjectId) -> Result<bool, Error> {
        let pull = doc! { "$pull": { "held": { "lease_id": lease_id } } };
        Ok(mongo::with_timeout(self.collection.update_one(self.stage_filter(), pull)).await?.modified_count
            > 0)
    }

    /// Every held slot, told apart by the database's clock. One round trip.
    pub async fn held(&self) -> Result<SlotsByState, Error> {
        let given_up = doc! { "$and": ["$$this.orphaned", { "$ne": ["$$this.voice_id", null] }] };
        let expired = doc! { "$or": [{ "$lt": ["$$this.until", "$$NOW"] }, given_up] };
        let held = |condition: Document| {
            doc! { "$filter": { "input": { "$ifNull": ["$held", []] }, "cond": condition } }
        };
        let found = self
            .collection
            .aggregate([
                doc! { "$match": self.stage_filter() },
                doc! { "$project": {
                    "live": held(doc! { "$not": [&expired] }),
                    "expired": held(expired),
                } },
            ])
            .with_type::<SlotsByState>();
        // The one document comes with the first answer.
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
