//! `cargo ops migrate`: converts the earlier backend's accounts.
//!
//! - this file: the loop over all accounts, and the report;
//! - `names`: which usernames and email addresses are unique without case;
//! - `account`: the changes to one document;
//! - `recording`: moves a recording from MongoDB to S3.
//!
//! Each account is updated on its own, only if it is still as it was read, and a converted account needs no further
//! change. So a migration can be interrupted, repeated, and run while the service is in use. Password hashes stay:
//! logins read the earlier form. What needs manual action is reported and skipped. Reports contain ids, never a
//! username or an email address.

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

use crate::{Confirm, Deployment, Failure, print_dry_run_hint};
use account::Changes;
use names::Names;
use recording::Mover;

const LIST_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Default)]
struct Totals {
    accounts: u64,
    changed: u64,
    recordings: u64,
    clones: u64,
    skipped: u64,
}

pub async fn migrate(
    deployment: &Deployment,
    batch: i64,
    confirm: Confirm,
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
    let mover =
        Mover { users: &users, recordings: deployment.recordings()?, clock: &deployment.clock, confirm };
    if confirm.yes {
        // The unique indexes decide about names that are taken while the migration runs.
        mongo::ensure_indexes(&deployment.database).await?;
    }
    let names = Names::read(&users).await?;

    let mut totals = Totals::default();
    let odd = users.count_documents(doc! { "_id": { "$not": { "$type": "objectId" } } }).await?;
    if odd > 0 {
        writeln!(out, "Skipped: {odd} accounts whose ids are not ObjectIds.")?;
        totals.skipped += odd;
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
            let changes = Changes::new(&account, &names);
            for why in &changes.skipped {
                writeln!(out, "Skipped: account {id}: {why}.")?;
                totals.skipped += 1;
            }
            if let Some(voice_id) = &changes.stale_clone {
                totals.clones += 1;
                // Reported before the update removes the id.
                if is_ours.get(voice_id) == Some(&false) {
                    writeln!(
                        out,
                        "Skipped: account {id}: its voice {voice_id} still exists at ElevenLabs and was not created by \
                         this stage; delete it there manually."
                    )?;
                    totals.skipped += 1;
                }
            }
            if !changes.is_empty() {
                if confirm.yes && !changes.apply(&users, id).await? {
                    writeln!(out, "Skipped: account {id}: it changed meanwhile; migrate again.")?;
                    totals.skipped += 1;
                    continue;
                }
                totals.changed += 1;
            }
            match mover.migrate(id).await? {
                recording::Moved::Nothing => {}
                recording::Moved::ToS3 => totals.recordings += 1,
                recording::Moved::Skipped(why) => {
                    writeln!(out, "Skipped: account {id}: its recording: {why}")?;
                    totals.skipped += 1;
                }
            }
        }
        eprintln!("  {} of {all} accounts", totals.accounts);
    }
    totals.print(confirm, out)
}

/// The next batch, without the recordings, which can be large.
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
    Failure::Other(String::from("An account has no id."))
}

impl Totals {
    fn print(&self, confirm: Confirm, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let would = if confirm.yes { "" } else { "would be " };
        for (what, number) in [
            (String::from("accounts"), self.accounts),
            (format!("{would}updated"), self.changed),
            (format!("recordings {would}moved"), self.recordings),
            (format!("clone ids {would}cleared"), self.clones),
            (String::from("needs manual action"), self.skipped),
        ] {
            writeln!(out, "{what:<28}{number}")?;
        }
        if confirm.yes { Ok(()) } else { print_dry_run_hint(out) }
    }
}
