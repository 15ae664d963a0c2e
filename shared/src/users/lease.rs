//! The per-user lease: one perform at a time, with its characters reserved.
//!
//! One atomic update checks the session, looks for a finished perform with the same key, acquires the lease, reserves the
//! characters and returns the document, so a perform starts with one round trip. Leases expire by the database's clock.
//! An expired lease is not taken over but swept first, because its clone may still exist.
//!
//! FIFO queue: who does not get the lease because another perform holds it is queued, as long as it asks again within
//! [`QUEUE_TTL`].

use std::time::Duration;

use futures::TryStreamExt as _;
use mongodb::{
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};

use super::{
    User, Users,
    replays::{self, Idempotency, Replay},
};
use crate::{
    clone_slots::{Hold, QUEUE_TTL},
    error::Error,
    mongo, quota,
    session::Caller,
};

/// The lease of a running perform, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// Also part of the clone's name.
    pub id: ObjectId,
    /// By the database's clock.
    #[serde(rename = "until")]
    pub expires_at: DateTime,
    /// The month that the characters are charged to, as `2026-11`.
    pub period: String,
    /// Characters reserved; 0 once the perform has ended, and the lease is kept for its clone alone.
    pub reserved: i64,
    /// Voice creations reserved.
    #[serde(default)]
    pub clones: i64,
    /// Of its request, if it had a key.
    #[serde(default)]
    pub idempotency: Option<Idempotency>,
}

/// A perform that waits for the lease, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Waiter {
    /// The id of the lease that it will have.
    pub id: ObjectId,
    /// When it is dropped unless it asks again, by the database's clock.
    pub until: DateTime,
}

/// What a perform needs, to acquire the lease.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// A new id.
    pub lease_id: ObjectId,
    /// Longer than the invocation can run.
    pub ttl: Duration,
    /// The perform's maximum cost in characters.
    pub characters: i64,
    /// Characters per user and month.
    pub monthly_limit: i64,
    /// Whether a clone is made of the user's recording.
    pub needs_clone: bool,
    /// Voice creations per user and month, unless the user has a limit of their own.
    pub monthly_clones: i64,
    pub idempotency: Idempotency,
}

/// Why the lease was not acquired.
#[derive(Debug)]
pub enum LeaseError {
    /// Another perform of this user is running, or its clone may exist.
    Held {
        /// The time until the lease may be free, if that is known.
        free_in: Option<Duration>,
        /// Whether it performs the same request.
        is_same: bool,
    },
    /// Another perform of this user died; its clone may exist until it is swept.
    Expired,
    /// This request was already performed.
    AlreadyDone(Box<Replay>),
    /// The key was used with another body.
    KeyReused,
    NoRecording,
    /// The month's remaining characters are not enough.
    QuotaExceeded {
        remaining: i64,
    },
    /// The month's voice creations are spent.
    CloneQuotaExceeded {
        limit: i64,
    },
}

/// What ending a lease records.
#[derive(Debug)]
pub struct Settlement {
    /// Characters charged: by the model's factor, 0 without audio.
    pub characters: i64,
    /// Voice creations charged: those that may have been made.
    pub clones: i64,
    /// `None` if its clone, if any, is confirmed deleted.
    pub hold: Option<Hold>,
    /// For a repeated request.
    pub replay: Option<Replay>,
}

impl Settlement {
    /// Nothing is charged, and no clone is left.
    pub const UNCHARGED: Self = Self { characters: 0, clones: 0, hold: None, replay: None };
}

impl Users {
    /// Acquires the caller's lease and returns the document with it, or why not. One round trip either way.
    pub async fn acquire_lease(
        &self,
        caller: &Caller,
        reservation: &Reservation,
    ) -> Result<Result<User, LeaseError>, Error> {
        let now = self.clock.now();
        let (period, next) = (quota::period(now), quota::next_period(&self.clock));
        // If a machine with a fast clock has already started the next month, it has started for all.
        let period = doc! { "$cond": [{ "$eq": ["$usage.period", &next] }, next, period] };
        let spent = doc! { "$cond": [{ "$eq": ["$usage.period", &period] }, "$usage.chars", 0_i64] };
        let mut conditions = vec![
            doc! { "$lte": [{ "$add": [spent, reservation.characters] }, reservation.monthly_limit] },
            replays::is_new(&reservation.idempotency, now),
        ];
        if reservation.needs_clone {
            let is_this_month = doc! { "$eq": ["$usage.period", &period] };
            let created = doc! { "$cond": [is_this_month, { "$ifNull": ["$usage.clones", 0_i64] }, 0_i64] };
            let limit = doc! { "$ifNull": ["$clone_limit", reservation.monthly_clones] };
            conditions.push(doc! { "$lt": [created, limit] });
            conditions.push(doc! { "$ne": [{ "$ifNull": ["$recording", null] }, null] });
        }
        let lease = doc! {
            "id": reservation.lease_id,
            "until": mongo::from_now(reservation.ttl),
            "period": &period,
            "reserved": reservation.characters,
            "clones": i64::from(reservation.needs_clone),
            "idempotency": { "$literal": bson(&reservation.idempotency)? },
        };
        let update = vec![
            doc! { "$set": {
                "lease_asked_at": "$$NOW",
                "lease_queue": { "$filter": {
                    "input": { "$ifNull": ["$lease_queue", []] },
                    "cond": { "$gt": ["$$this.until", "$$NOW"] },
                } },
                "is_entitled": { "$and": conditions },
            } },
            grant_or_enqueue(&lease, reservation.lease_id),
            doc! { "$unset": "is_entitled" },
        ];
        let acquired = self
            .collection
            .find_one_and_update(self.session_filter(caller), update)
            .return_document(ReturnDocument::After);
        let user = mongo::with_timeout(acquired).await?.ok_or(Error::InvalidToken)?;
        if user.lease.as_ref().is_some_and(|lease| lease.id == reservation.lease_id) {
            return Ok(Ok(user));
        }
        Ok(Err(self.refusal_reason(user, reservation, now)))
    }

    fn refusal_reason(&self, user: User, reservation: &Reservation, now: DateTime) -> LeaseError {
        let idempotency = &reservation.idempotency;
        let done = user.replays.into_iter().find(|replay| {
            replay.idempotency.key == idempotency.key && replay.is_current(now, user.lease_asked_at)
        });
        match done {
            Some(replay) if replay.idempotency == *idempotency => {
                return LeaseError::AlreadyDone(Box::new(replay));
            }
            Some(_) => return LeaseError::KeyReused,
            None => {}
        }
        let running = user.lease.as_ref().and_then(|lease| lease.idempotency.as_ref());
        let is_same = running == Some(idempotency);
        if !is_same && running.is_some_and(|running| running.key == idempotency.key) {
            return LeaseError::KeyReused;
        }
        match user.lease {
            // Checked before `Held`: waiting cannot fix a missing recording.
            _ if reservation.needs_clone && user.recording.is_none() => LeaseError::NoRecording,
            Some(lease) => {
                let now = user.lease_asked_at.unwrap_or(lease.expires_at);
                match u64::try_from(lease.expires_at.timestamp_millis() - now.timestamp_millis()) {
                    Ok(rest @ 1..) => {
                        let free_in = (lease.reserved == 0).then_some(Duration::from_millis(rest));
                        LeaseError::Held { free_in, is_same }
                    }
                    _ => LeaseError::Expired,
                }
            }
            // Others came before.
            None if user.lease_queue.iter().any(|waiter| waiter.id == reservation.lease_id) => {
                LeaseError::Held { free_in: None, is_same: false }
            }
            None => {
                let remaining = (reservation.monthly_limit - user.usage.current(&self.clock)).max(0);
                if remaining < reservation.characters {
                    LeaseError::QuotaExceeded { remaining }
                } else {
                    let limit = user.clone_limit.unwrap_or(reservation.monthly_clones);
                    LeaseError::CloneQuotaExceeded { limit }
                }
            }
        }
    }

    /// Records the clone that exists under a lease.
    pub async fn record_voice_id(
        &self,
        user_id: ObjectId,
        lease_id: ObjectId,
        voice_id: &str,
    ) -> Result<(), Error> {
        let update = self.collection.update_one(
            doc! { "_id": user_id, "lease.id": lease_id },
            doc! { "$set": { "voice_clone_id": voice_id } },
        );
        mongo::with_timeout(update).await?;
        Ok(())
    }

    /// Ends a lease: charges the month in which the characters were reserved, and clears the clone's id. Unless the
    /// clone is confirmed deleted, the lease stays until the sweep has deleted it, so that the user never has two.
    /// Idempotent. Returns whether there was something to settle.
    pub async fn settle(
        &self,
        user_id: ObjectId,
        lease_id: ObjectId,
        settlement: &Settlement,
    ) -> Result<bool, Error> {
        let mut charge = doc! { "usage": charged(settlement.characters.into(), settlement.clones.into()) };
        if let Some(replay) = &settlement.replay {
            let replay = mongodb::bson::serialize_to_document(replay).map_err(mongodb::error::Error::from)?;
            charge.insert("replays", replays::appended(&replay, self.clock.now()));
        }
        let release = match settlement.hold {
            None => doc! { "lease": null, "voice_clone_id": null },
            // When it expires, the sweep or the user's next perform may take over.
            Some(Hold::For(time)) => doc! {
                "lease.reserved": 0_i64,
                "lease.clones": 0_i64,
                "lease.until": { "$min": ["$lease.until", mongo::from_now(time)] },
            },
            Some(Hold::ToTheEnd) => doc! { "lease.reserved": 0_i64, "lease.clones": 0_i64 },
        };
        let update = self.collection.update_one(
            // A settled lease holds no reservation any more.
            doc! { "_id": user_id, "lease.id": lease_id, "lease.reserved": { "$gt": 0 } },
            vec![doc! { "$set": charge }, doc! { "$set": release }],
        );
        Ok(mongo::with_timeout(update).await?.matched_count > 0)
    }

    /// How many leases are running, and how many expired.
    pub async fn count_leases(&self) -> Result<(u64, u64), Error> {
        let count = async |comparison: &str| {
            let filter = doc! {
                "lease.until": { "$exists": true },
                "$expr": { comparison: ["$lease.until", "$$NOW"] },
            };
            mongo::with_timeout(self.collection.count_documents(filter)).await
        };
        Ok((count("$gt").await?, count("$lte").await?))
    }

    /// The expired leases of users.
    pub async fn expired_leases(&self) -> Result<Vec<ObjectId>, Error> {
        let expired = doc! {
            "lease.until": { "$exists": true },
            "$expr": { "$lte": ["$lease.until", "$$NOW"] },
        };
        let users = self.documents();
        let found = async {
            let found = users.find(expired).projection(doc! { "lease.id": 1 }).await?;
            found.try_collect::<Vec<Document>>().await
        };
        let found = mongo::with_timeout(Box::pin(found)).await?;
        Ok(found
            .iter()
            .filter_map(|user| user.get_document("lease").ok()?.get_object_id("id").ok())
            .collect())
    }

    /// Releases every expired lease that is not among `still_held` (their clones could not be deleted yet). No characters
    /// are charged: such a perform returned no audio. Its voice creation is: it may have been made. Returns how many were
    /// released.
    pub async fn release_expired_leases(&self, still_held: &[ObjectId]) -> Result<u64, Error> {
        let expired = doc! {
            "lease.until": { "$exists": true },
            "lease.id": { "$nin": still_held },
            "$expr": { "$lte": ["$lease.until", "$$NOW"] },
        };
        let reserved = doc! { "$ifNull": ["$lease.clones", 0_i64] };
        let update = vec![
            doc! { "$set": { "usage": charged(0_i64.into(), reserved.into()) } },
            doc! { "$set": { "lease": null, "voice_clone_id": null } },
        ];
        Ok(mongo::with_timeout(self.collection.update_many(expired, update)).await?.modified_count)
    }
}

/// Stage of [`Users::acquire_lease`]: gives the lease to a perform that is entitled to it and first in the queue, and
/// otherwise adds it to the queue, or refreshes its entry there. A perform that is not entitled leaves the queue.
fn grant_or_enqueue(lease: &Document, lease_id: ObjectId) -> Document {
    let ids = doc! { "$map": { "input": "$lease_queue", "in": "$$this.id" } };
    let first = doc! { "$ifNull": [{ "$arrayElemAt": [&ids, 0] }, null] };
    let is_first = doc! { "$in": [first, [lease_id, Bson::Null]] };
    let is_free = doc! { "$eq": [{ "$ifNull": ["$lease", null] }, null] };
    let is_granted = doc! { "$and": ["$is_entitled", is_free, is_first] };
    let leaves = doc! { "$or": [&is_granted, { "$not": "$is_entitled" }] };
    let is_other = doc! { "$ne": ["$$this.id", lease_id] };
    let entry = doc! { "id": lease_id, "until": mongo::from_now(QUEUE_TTL) };
    let others = doc! { "$filter": { "input": "$lease_queue", "cond": &is_other } };
    let refreshed =
        doc! { "$map": { "input": "$lease_queue", "in": { "$cond": [is_other, "$$this", &entry] } } };
    let is_queued = doc! { "$in": [lease_id, ids] };
    let enqueued = doc! { "$concatArrays": ["$lease_queue", [entry]] };
    doc! { "$set": {
        "lease": { "$cond": [is_granted, lease, { "$ifNull": ["$lease", null] }] },
        "lease_queue": { "$cond": [leaves, others, { "$cond": [is_queued, refreshed, enqueued] }] },
    } }
}

/// Expression: the usage with these characters and voice creations charged to the month of the lease.
fn charged(characters: Bson, clones: Bson) -> Document {
    let same_month = doc! { "$eq": ["$usage.period", "$lease.period"] };
    // The stored usage may already be of a newer month; then the older month's charge no longer matters.
    let newer = doc! { "$gt": [{ "$ifNull": ["$usage.period", ""] }, "$lease.period"] };
    let spent = |member: &str| doc! { "$cond": [&same_month, { "$ifNull": [member, 0_i64] }, 0_i64] };
    let charged = doc! {
        "period": "$lease.period",
        "chars": { "$add": [spent("$usage.chars"), characters] },
        "clones": { "$add": [spent("$usage.clones"), clones] },
    };
    doc! { "$cond": [newer, "$usage", charged] }
}

fn bson<T: Serialize>(value: &T) -> Result<Bson, mongodb::error::Error> {
    mongodb::bson::serialize_to_bson(value).map_err(Into::into)
}
