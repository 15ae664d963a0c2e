//! The per-user lease: one perform at a time, and the characters that it may spend.
//!
//! One atomic update checks the session, takes the lease, reserves the characters and returns the document, so
//! a perform begins with one round trip. The lease expires by the database's clock; an expired one is not taken
//! over but first cleaned up (its clone may still live), which is the sweep's work.

use std::time::Duration;

use mongodb::{
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};

use super::{User, Users};
use crate::{error::Error, quota, session::Caller};

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
}

/// What a perform asks for when it takes the lease.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// A fresh id.
    pub lease_id: ObjectId,
    /// How long the lease lasts: longer than the invocation can.
    pub lasts: Duration,
    /// Characters that the perform could cost at most.
    pub characters: i64,
    /// Characters that a user has in a month.
    pub monthly_limit: i64,
    /// Whether it cannot do without the user's recording.
    pub needs_recording: bool,
}

/// Why the lease was not given.
#[derive(Debug)]
pub enum LeaseRefused {
    /// Another perform of this user runs.
    Held,
    /// There is no recording.
    NoRecording,
    /// The month's characters would not be enough.
    QuotaExceeded {
        /// Characters left.
        remaining: i64,
    },
}

impl Users {
    /// Takes the caller's lease and gives the document with it, or says why not. One round trip either way.
    pub async fn take_lease(
        &self,
        caller: &Caller,
        want: &Reservation,
    ) -> Result<Result<User, LeaseRefused>, Error> {
        let period = quota::period(self.clock.now());
        let spent = doc! { "$cond": [{ "$eq": ["$usage.period", &period] }, "$usage.chars", 0_i64] };
        let mut conditions = vec![
            Bson::from(doc! { "$eq": [{ "$ifNull": ["$lease", null] }, null] }),
            Bson::from(doc! { "$lte": [{ "$add": [spent, want.characters] }, want.monthly_limit] }),
        ];
        if want.needs_recording {
            conditions.push(Bson::from(doc! { "$ne": [{ "$ifNull": ["$recording", null] }, null] }));
        }
        let lease = doc! {
            "id": want.lease_id,
            "until": from_now(want.lasts),
            "period": &period,
            "reserved": want.characters,
        };
        let update = vec![doc! { "$set": {
            "lease": { "$cond": [{ "$and": conditions }, lease, { "$ifNull": ["$lease", null] }] },
        } }];
        let user = self
            .collection
            .find_one_and_update(self.of(caller), update)
            .return_document(ReturnDocument::After)
            .await?
            .ok_or(Error::InvalidToken)?;
        Ok(match &user.lease {
            Some(lease) if lease.id == want.lease_id => Ok(user),
            // Said before "busy": waiting does not bring a recording.
            _ if want.needs_recording && user.recording.is_none() => Err(LeaseRefused::NoRecording),
            Some(_) => Err(LeaseRefused::Held),
            None => Err(LeaseRefused::QuotaExceeded {
                remaining: (want.monthly_limit - user.usage.now(&self.clock)).max(0),
            }),
        })
    }

    /// Notes the clone that lives under a lease.
    pub async fn note_clone(
        &self,
        user_id: ObjectId,
        lease_id: ObjectId,
        voice_id: &str,
    ) -> Result<(), Error> {
        self.collection
            .update_one(
                doc! { "_id": user_id, "lease.id": lease_id },
                doc! { "$set": { "voice_clone_id": voice_id } },
            )
            .await?;
        Ok(())
    }

    /// Ends a lease: `characters` are charged to the month in which they were reserved, and the clone's id is
    /// cleared. If the clone is not surely gone, the lease stays until the sweep has deleted it, so that the user
    /// never has two; what was reserved is charged or given back all the same.
    ///
    /// Gives the user's characters of this month, or `None` if the lease was already ended.
    pub async fn settle(
        &self,
        user_id: ObjectId,
        lease_id: ObjectId,
        characters: i64,
        clone_is_gone: bool,
    ) -> Result<Option<i64>, Error> {
        let same_month = doc! { "$eq": ["$usage.period", "$lease.period"] };
        // What is stored may already belong to a newer month; then the older month's charge is past.
        let newer = doc! { "$gt": [{ "$ifNull": ["$usage.period", ""] }, "$lease.period"] };
        let charged = doc! {
            "period": "$lease.period",
            "chars": { "$add": [{ "$cond": [same_month, "$usage.chars", 0_i64] }, characters] },
        };
        let mut update = vec![doc! { "$set": { "usage": { "$cond": [newer, "$usage", charged] } } }];
        if clone_is_gone {
            update.push(doc! { "$set": { "lease": null, "voice_clone_id": null } });
        } else {
            update.push(doc! { "$set": { "lease.reserved": 0_i64 } });
        }
        let settled = self
            .collection
            .find_one_and_update(doc! { "_id": user_id, "lease.id": lease_id }, update)
            .return_document(ReturnDocument::After)
            .await?;
        Ok(settled.map(|user| user.usage.now(&self.clock)))
    }

    /// Frees every user whose lease ran out and is not among `still_held` (their clones could not be deleted
    /// yet). Nothing is charged: no audio left such a perform. Gives how many were freed.
    pub async fn release_expired_leases(&self, still_held: &[ObjectId]) -> Result<u64, Error> {
        let expired = doc! {
            "lease.until": { "$exists": true },
            "lease.id": { "$nin": still_held },
            "$expr": { "$lt": ["$lease.until", "$$NOW"] },
        };
        let update = doc! { "$set": { "lease": null, "voice_clone_id": null } };
        Ok(self.collection.update_many(expired, update).await?.modified_count)
    }
}

/// So much from now, by the database's clock.
pub(crate) fn from_now(time: Duration) -> Document {
    let amount = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    doc! { "$dateAdd": { "startDate": "$$NOW", "unit": "millisecond", "amount": amount } }
}
