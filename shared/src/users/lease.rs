//! The per-user lease: one perform at a time, and the characters that it may spend.
//!
//! One atomic update checks the session, looks for a finished perform of the same key, takes the lease, reserves the
//! characters and returns the document, so a perform begins with one round trip. The lease expires by the database's
//! clock; an expired one is not taken over but first swept, because its clone may still live.

use std::time::Duration;

use mongodb::{
    bson::{Bson, DateTime, doc, oid::ObjectId},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};

use super::{
    User, Users,
    replays::{self, Idempotency, Replay},
};
use crate::{error::Error, mongo, quota, session::Caller};

/// The perform that holds a user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// The lease's id; also in the clone's name.
    pub id: ObjectId,
    /// When it runs out, by the database's clock.
    pub until: DateTime,
    /// The month that the characters count against, as `2026-11`.
    pub period: String,
    /// Characters reserved.
    pub reserved: i64,
    /// What made its request repeatable.
    #[serde(default)]
    pub idempotency: Option<Idempotency>,
}

/// What a perform asks for when it takes the lease.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// A fresh id.
    pub lease_id: ObjectId,
    /// How long the lease ttl: longer than the invocation can.
    pub ttl: Duration,
    /// Characters that the perform could cost at most.
    pub characters: i64,
    /// Characters that a user has in a month.
    pub monthly_limit: i64,
    /// Whether it cannot do without the user's recording.
    pub needs_recording: bool,
    /// What makes the request repeatable.
    pub idempotency: Option<Idempotency>,
}

/// Why the lease was not given.
#[derive(Debug)]
pub enum LeaseError {
    /// Another perform of this user runs.
    Held,
    /// Another perform of this user died; its clone may live until it is swept.
    Expired,
    /// This very request was already performed.
    Done(Box<Replay>),
    /// The key belongs to a request with another body.
    KeyReused,
    /// There is no recording.
    NoRecording,
    /// The month's characters would not be enough.
    QuotaExceeded {
        /// Characters left.
        remaining: i64,
    },
}

/// How a perform ended.
#[derive(Debug)]
pub struct Settlement {
    /// Characters spoken, by the model's factor; 0 if there is no audio.
    pub characters: i64,
    /// Whether no clone of it is left.
    pub clone_deleted: bool,
    /// What a repeated request is to get.
    pub replay: Option<Replay>,
}

impl Users {
    /// Takes the caller's lease and gives the document with it, or says why not. One round trip either way.
    pub async fn take_lease(
        &self,
        caller: &Caller,
        want: &Reservation,
    ) -> Result<Result<User, LeaseError>, Error> {
        let now = self.clock.now();
        let (period, next) = (quota::period(now), quota::next_period(&self.clock));
        // A machine whose clock is ahead may have begun the next month: then it has begun for all.
        let period = doc! { "$cond": [{ "$eq": ["$usage.period", &next] }, next, period] };
        let spent = doc! { "$cond": [{ "$eq": ["$usage.period", &period] }, "$usage.chars", 0_i64] };
        let mut conditions = vec![
            doc! { "$eq": [{ "$ifNull": ["$lease", null] }, null] },
            doc! { "$lte": [{ "$add": [spent, want.characters] }, want.monthly_limit] },
        ];
        if want.needs_recording {
            conditions.push(doc! { "$ne": [{ "$ifNull": ["$recording", null] }, null] });
        }
        if let Some(idempotency) = &want.idempotency {
            conditions.push(replays::is_new(&idempotency.key, now));
        }
        let lease = doc! {
            "id": want.lease_id,
            "until": mongo::from_now(want.ttl),
            "period": &period,
            "reserved": want.characters,
            "idempotency": bson(&want.idempotency)?,
        };
        let update = vec![doc! { "$set": {
            "lease_asked_at": "$$NOW",
            "lease": { "$cond": [{ "$and": conditions }, lease, { "$ifNull": ["$lease", null] }] },
        } }];
        let taken = self
            .collection
            .find_one_and_update(self.session_filter(caller), update)
            .return_document(ReturnDocument::After);
        let user = mongo::with_timeout(taken).await?.ok_or(Error::InvalidToken)?;
        if user.lease.as_ref().is_some_and(|lease| lease.id == want.lease_id) {
            return Ok(Ok(user));
        }
        Ok(Err(self.refusal_reason(user, want, now)))
    }

    fn refusal_reason(&self, user: User, want: &Reservation, now: DateTime) -> LeaseError {
        if let Some(idempotency) = &want.idempotency {
            let oldest = now.timestamp_millis().saturating_sub(millis(replays::REPLAY_LIFETIME));
            let done = user.replays.into_iter().find(|replay| {
                replay.idempotency.key == idempotency.key && replay.at.timestamp_millis() > oldest
            });
            match done {
                Some(replay) if replay.idempotency == *idempotency => {
                    return LeaseError::Done(Box::new(replay));
                }
                Some(_) => return LeaseError::KeyReused,
                None => {}
            }
            let running = user.lease.as_ref().and_then(|lease| lease.idempotency.as_ref());
            if running.is_some_and(|running| running.key == idempotency.key && running != idempotency) {
                return LeaseError::KeyReused;
            }
        }
        match user.lease {
            // Said before "busy": waiting does not bring a recording.
            _ if want.needs_recording && user.recording.is_none() => LeaseError::NoRecording,
            Some(lease) if user.lease_asked_at.is_some_and(|now| lease.until <= now) => LeaseError::Expired,
            Some(_) => LeaseError::Held,
            None => LeaseError::QuotaExceeded {
                remaining: (want.monthly_limit - user.usage.current(&self.clock)).max(0),
            },
        }
    }

    /// Notes the clone that lives under a lease.
    pub async fn record_voice_id(
        &self,
        user_id: ObjectId,
        lease_id: ObjectId,
        voice_id: &str,
    ) -> Result<(), Error> {
        let noted = self.collection.update_one(
            doc! { "_id": user_id, "lease.id": lease_id },
            doc! { "$set": { "voice_clone_id": voice_id } },
        );
        mongo::with_timeout(noted).await?;
        Ok(())
    }

    /// Ends a lease: what was spoken is charged to the month in which it was reserved, and the clone's id is cleared.
    /// If the clone is not surely gone, the lease stays until the sweep has deleted it, so that the user never has
    /// two. Settling again changes nothing. Gives whether there was something to settle.
    pub async fn settle(
        &self,
        user_id: ObjectId,
        lease_id: ObjectId,
        settlement: &Settlement,
    ) -> Result<bool, Error> {
        let same_month = doc! { "$eq": ["$usage.period", "$lease.period"] };
        // What is stored may already belong to a newer month; then the older month's charge is past.
        let newer = doc! { "$gt": [{ "$ifNull": ["$usage.period", ""] }, "$lease.period"] };
        let charged = doc! {
            "period": "$lease.period",
            "chars": { "$add": [{ "$cond": [same_month, "$usage.chars", 0_i64] }, settlement.characters] },
        };
        let mut first = doc! { "usage": { "$cond": [newer, "$usage", charged] } };
        if let Some(replay) = &settlement.replay {
            let replay = mongodb::bson::serialize_to_document(replay).map_err(mongodb::error::Error::from)?;
            first.insert("replays", replays::with(&replay, self.clock.now()));
        }
        let last = if settlement.clone_deleted {
            doc! { "lease": null, "voice_clone_id": null }
        } else {
            // Run out, so that the sweep and the user's next perform know that nobody works under it any more.
            doc! { "lease.reserved": 0_i64, "lease.until": "$$NOW" }
        };
        let settled = self.collection.update_one(
            // What was settled holds no reservation any more.
            doc! { "_id": user_id, "lease.id": lease_id, "lease.reserved": { "$gt": 0 } },
            vec![doc! { "$set": first }, doc! { "$set": last }],
        );
        Ok(mongo::with_timeout(settled).await?.matched_count > 0)
    }

    /// How many users are held by a lease that still runs, and by one that ran out.
    pub async fn count_leases(&self) -> Result<(u64, u64), Error> {
        let count = async |comparison: &str| {
            let leased = doc! {
                "lease.until": { "$exists": true },
                "$expr": { comparison: ["$lease.until", "$$NOW"] },
            };
            mongo::with_timeout(self.collection.count_documents(leased)).await
        };
        Ok((count("$gt").await?, count("$lte").await?))
    }

    /// Frees every user whose lease ran out and is not among `still_held` (their clones could not be deleted
    /// yet). Nothing is charged: no audio left such a perform. Gives how many were freed.
    pub async fn release_expired_leases(&self, still_held: &[ObjectId]) -> Result<u64, Error> {
        let expired = doc! {
            "lease.until": { "$exists": true },
            "lease.id": { "$nin": still_held },
            "$expr": { "$lte": ["$lease.until", "$$NOW"] },
        };
        let update = doc! { "$set": { "lease": null, "voice_clone_id": null } };
        Ok(mongo::with_timeout(self.collection.update_many(expired, update)).await?.modified_count)
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn bson<T: Serialize>(value: &T) -> Result<Bson, mongodb::error::Error> {
    mongodb::bson::serialize_to_bson(value).map_err(Into::into)
}
