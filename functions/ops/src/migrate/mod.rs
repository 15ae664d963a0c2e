//! `cargo ops migrate`: the earlier backend's accounts in today's form.
//!
//! - this file: the walk over all accounts, one after the other, and what it reports;
//! - `names`: whose username and address are unique without case;
//! - `account`: what is to change in one document;
//! - `recording`: a recording that MongoDB holds, moved to S3.
//!
//! Every account is changed by itself, under the condition that it still is as it was read, and what was changed
//! needs no change any more: so a migration can be interrupted, repeated, and run while performers perform. Password
//! hashes are not touched: sign-ins read them as they are. What cannot be decided here is reported and left. Reports
//! name accounts by their ids, never by a name or an address.

mod account;
mod names;
mod recording;

use std::{collections::HashMap, io::Write, time::Duration};

use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Document, doc, oid::ObjectId},
};
use shared::{deadline::Deadline, error::Error, mongo};

use crate::{Deployment, Failure, Go, nothing_was_done};
use account::Changes;
use names::Names;
use recording::Mover;

/// The list of all voices at the provider.
const LIST_TIMEOUT: Duration = Duration::from_mins(1);

/// What was done, or would be.
#[derive(Default)]
struct Totals {
    accounts: u64,
    changed: u64,
    recordings: u64,
    clones: u64,
    left: u64,
}

/// Walks over all accounts.
pub async fn migrate(
    deployment: &Deployment,
    batch: i64,
    go: Go,
    out: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let users = deployment.database.collection::<Document>("users");
    let sweeper = deployment.sweeper()?;
    let voices = sweeper.elevenlabs.cloned_voices("", Deadline::after(LIST_TIMEOUT)).await;
    let voices = voices.map_err(Error::ProviderUnavailable)?;
    let is_ours: HashMap<String, bool> = voices
        .into_iter()
        .map(|voice| (voice.voice_id, sweeper.names.lease(&voice.name).is_some()))
        .collect();
    let mover = Mover { users: &users, recordings: deployment.recordings()?, clock: &deployment.clock, go };
    if go.yes {
        // They decide about names that are taken while the migration runs.
        mongo::ensure_indexes(&deployment.database).await?;
    }
    let names = Names::read(&users).await?;

    let mut totals = Totals::default();
    let odd = users.count_documents(doc! { "_id": { "$not": { "$type": "objectId" } } }).await?;
    if odd > 0 {
        writeln!(out, "Left: {odd} accounts whose ids are not ObjectIds.")?;
        totals.left += odd;
    }
    let all = users.count_documents(doc! {}).await? - odd;
    let mut last = ObjectId::from_bytes([0; 12]);
    loop {
        let accounts = read(&users, last, batch).await?;
        let Some(end) = accounts.last().and_then(|account| account.get_object_id("_id").ok()) else { break };
        last = end;
        for account in accounts {
            let id = account.get_object_id("_id").map_err(|_| unreadable())?;
            totals.accounts += 1;
            let changes = Changes::of(&account, &names);
            for why in &changes.left {
                writeln!(out, "Left: account {id}: {why}.")?;
                totals.left += 1;
            }
            if let Some(voice_id) = &changes.stale_clone {
                totals.clones += 1;
                // Said before it is forgotten.
                if is_ours.get(voice_id) == Some(&false) {
                    writeln!(
                        out,
                        "Left: account {id}: its voice {voice_id} is still at ElevenLabs and was not made by this \
                         stage; delete it there by hand."
                    )?;
                    totals.left += 1;
                }
            }
            if !changes.is_empty() {
                if go.yes && !changes.apply(&users, id).await? {
                    writeln!(out, "Left: account {id}: it changed meanwhile; migrate again.")?;
                    totals.left += 1;
                    continue;
                }
                totals.changed += 1;
            }
            match mover.take(id).await? {
                recording::Moved::Nothing => {}
                recording::Moved::ToS3 => totals.recordings += 1,
                recording::Moved::Left(why) => {
                    writeln!(out, "Left: account {id}: its recording: {why}")?;
                    totals.left += 1;
                }
            }
        }
        eprintln!("  {} of {all} accounts", totals.accounts);
    }
    totals.tell(go, out)
}

/// The next accounts, without their recordings, which can be large.
async fn read(
    users: &Collection<Document>,
    after: ObjectId,
    batch: i64,
) -> Result<Vec<Document>, mongodb::error::Error> {
    let next = users
        .find(doc! { "_id": { "$gt": after } })
        .sort(doc! { "_id": 1 })
        .limit(batch)
        .projection(doc! { "recordedVoice": 0 });
    next.await?.try_collect().await
}

fn unreadable() -> Failure {
    Failure::Because(String::from("An account has no id."))
}

impl Totals {
    fn tell(&self, go: Go, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let would = if go.yes { "" } else { "would be " };
        for (what, number) in [
            (String::from("accounts"), self.accounts),
            (format!("{would}updated"), self.changed),
            (format!("recordings {would}moved"), self.recordings),
            (format!("clone ids {would}cleared"), self.clones),
            (String::from("left for a person"), self.left),
        ] {
            writeln!(out, "{what:<28}{number}")?;
        }
        if go.yes { Ok(()) } else { nothing_was_done(out) }
    }
}
