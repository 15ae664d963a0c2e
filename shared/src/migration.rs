//! Whether the database still has documents of the earlier backend that `cargo ops migrate` has not converted.
//!
//! Nobody can sign in to such an account, and such a code cannot be used. A request that fails for that reason must not
//! hear that its password or its code is wrong. The check runs only after such a failure, and once it has found nothing,
//! never again in this process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mongodb::{
    Collection, Database,
    bson::{Document, doc},
};

use crate::{error::Error, mongo};

/// The limit of one check, so that a large collection slows nobody down.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Accounts whose password has not been moved to where logins read it. A null password or one of an odd type stays where
/// it is, and locks out its account alone.
#[must_use]
pub fn unmigrated_users() -> Document {
    doc! {
        "_id": { "$type": "objectId" },
        "password_hash": null,
        "password": { "$type": ["string", "binData"] },
    }
}

/// Activation codes whose `_id` is not the code itself.
#[must_use]
pub fn unmigrated_codes() -> Document {
    doc! {
        "_id": { "$type": "objectId" },
        "code": { "$type": "string", "$regex": "^[0-9A-Za-z]{11}$" },
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct MigrationCheck {
    users: Collection<Document>,
    codes: Collection<Document>,
    /// Nothing was left to migrate.
    is_done: Arc<AtomicBool>,
}

impl MigrationCheck {
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self {
            users: database.collection("users"),
            codes: database.collection("activation_codes"),
            is_done: Arc::default(),
        }
    }

    /// [`Error::DatabaseNotMigrated`] if that may be why something was not found, otherwise `error`.
    pub async fn explain(&self, error: Error) -> Error {
        match self.is_pending().await {
            Ok(true) => Error::DatabaseNotMigrated,
            Ok(false) => error,
            Err(failure) => {
                tracing::warn!(error = mongo::redacted(&failure), "migration check failed");
                error
            }
        }
    }

    /// Logs an error if the database has not been migrated.
    pub async fn log_if_pending(self) {
        if matches!(self.is_pending().await, Ok(true)) {
            Error::DatabaseNotMigrated.log();
        }
    }

    pub async fn is_pending(&self) -> Result<bool, mongodb::error::Error> {
        if self.is_done.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let any = async |collection: &Collection<Document>, filter| {
            let first = collection.find_one(filter).projection(doc! { "_id": 1 }).max_time(TIMEOUT);
            Ok::<_, mongodb::error::Error>(mongo::with_timeout(first).await?.is_some())
        };
        let (user, code) =
            futures::try_join!(any(&self.users, unmigrated_users()), any(&self.codes, unmigrated_codes()),)?;
        let is_pending = user || code;
        self.is_done.store(!is_pending, Ordering::Relaxed);
        Ok(is_pending)
    }
}
