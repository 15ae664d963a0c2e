//! `cargo ops migrate`: the earlier backend's database in today's form.
//!
//! - this file: the order of a migration;
//! - `report`: what is said of it;
//! - `accounts`: the walk over all accounts, one after the other;
//! - `account`: what is to change in one account's document; `names`: whose username and address are unique;
//! - `recording`: a recording that MongoDB holds, moved to S3;
//! - `codes`: activation codes.
//!
//! Every document is changed by itself, under the condition that it still is as it was read, and what was changed
//! needs no change any more: so a migration can be interrupted, repeated, and run while performers perform. What cannot
//! be decided here is reported and skipped. Reports name documents by their ids, never by a name, an address or a code.

mod account;
mod accounts;
mod codes;
mod names;
mod recording;
mod report;

use std::{collections::HashMap, io::Write, time::Duration};

use shared::{deadline::Deadline, error::Error, mongo};

use crate::{Confirm, Deployment, Failure};
use report::Report;

/// The list of all voices at the provider.
const LIST_TIMEOUT: Duration = Duration::from_mins(1);

/// The cloned voices at the provider, and whether this stage made them.
type Voices = HashMap<String, bool>;

/// Migrates everything, or says what it would change.
pub async fn migrate(
    deployment: &Deployment,
    batch: i64,
    confirm: Confirm,
    out: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let database = &deployment.database;
    let mut report = Report::new(confirm, out);
    let voices = voices(deployment).await?;
    for (collection, index) in mongo::superseded_indexes(database).await? {
        if confirm.yes {
            database.collection::<mongodb::bson::Document>(collection).drop_index(&index).await?;
        }
        report.index_dropped(collection, &index)?;
    }
    if confirm.yes {
        // They decide about names that are taken while the migration runs.
        crate::indexes::ensure(database).await?;
    }
    accounts::migrate(deployment, &voices, batch, &mut report).await?;
    codes::migrate(database, batch, &mut report).await?;
    report.finish(database.name())
}

async fn voices(deployment: &Deployment) -> Result<Voices, Failure> {
    let sweeper = deployment.sweeper()?;
    let voices = sweeper.elevenlabs.cloned_voices("", Deadline::after(LIST_TIMEOUT)).await;
    let voices = voices.map_err(Error::ProviderUnavailable)?.into_iter();
    Ok(voices.map(|voice| (voice.voice_id, sweeper.names.parse(&voice.name).is_some())).collect())
}
