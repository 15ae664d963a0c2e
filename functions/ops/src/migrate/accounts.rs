//! The walk over all accounts. Their recordings can be large, so only one at a time is in memory.

use std::collections::HashSet;

use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Document, doc, oid::ObjectId},
};

use super::{
    Voices,
    account::{Applied, Changes},
    names::Names,
    recording::{self, Moved, Mover},
    report::Report,
};
use crate::{Deployment, Failure};

/// How often a document is read again that changes while it is migrated.
const ATTEMPTS: u32 = 5;

pub async fn migrate(
    deployment: &Deployment,
    voices: &Voices,
    batch: i64,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let users = deployment.database.collection::<Document>("users");
    let mover = Mover {
        users: &users,
        recordings: deployment.recordings()?,
        clock: &deployment.clock,
        confirm: report.confirm,
    };
    let names = Names::read(&users).await?;
    let odd = users.count_documents(doc! { "_id": { "$not": { "$type": "objectId" } } }).await?;
    if odd > 0 {
        report.skipped(format_args!("{odd} accounts whose ids are not ObjectIds"))?;
    }
    let all = users.count_documents(doc! {}).await? - odd;
    let mut last = ObjectId::from_bytes([0; 12]);
    loop {
        let accounts = read_batch(&users, last, batch).await?;
        let Some(end) = accounts.last().and_then(|account| account.get_object_id("_id").ok()) else { break };
        let recorded = with_recordings(&users, last, end).await?;
        last = end;
        for account in accounts {
            let Ok(id) = account.get_object_id("_id") else { continue };
            report.accounts += 1;
            let mut done = Vec::new();
            // Before the password: whoever can sign in finds their recording.
            if recorded.contains(&id) {
                move_recording(&mover, id, &mut done, report).await?;
            }
            change(&users, account, id, (&names, voices), &mut done, report).await?;
            if !done.is_empty() {
                report.account_changed(id, &done)?;
            }
        }
        eprintln!("  {} of {all} accounts", report.accounts);
    }
    Ok(())
}

async fn move_recording(
    mover: &Mover<'_>,
    id: ObjectId,
    done: &mut Vec<String>,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let Moved { change, skipped } = mover.migrate(id).await?;
    if let Some(change) = change {
        report.recordings += u64::from(change.to_s3);
        done.push(change.what);
    }
    for why in skipped {
        report.skipped(format_args!("account {id}: its recording: {}", why.trim_end_matches('.')))?;
    }
    Ok(())
}

async fn change(
    users: &Collection<Document>,
    mut account: Document,
    id: ObjectId,
    (names, voices): (&Names, &Voices),
    done: &mut Vec<String>,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let all_taken = Names::all_taken();
    let mut names = names;
    for _ in 0..ATTEMPTS {
        let mut changes = Changes::of(&account, names, voices);
        if report.confirm.yes && !changes.is_empty() {
            match changes.apply(users, id).await? {
                Applied::Yes => {}
                Applied::NameTaken => {
                    names = &all_taken;
                    continue;
                }
                Applied::ChangedMeanwhile => match read_one(users, id).await? {
                    Some(now) => {
                        account = now;
                        continue;
                    }
                    None => return Ok(()),
                },
            }
        }
        report.clones += changes.clones;
        done.append(&mut changes.what);
        for why in changes.skipped {
            report.skipped(format_args!("account {id}: {why}"))?;
        }
        return Ok(());
    }
    report.skipped(format_args!("account {id}: it keeps changing; migrate again"))
}

async fn read_batch(
    users: &Collection<Document>,
    after: ObjectId,
    batch: i64,
) -> Result<Vec<Document>, mongodb::error::Error> {
    let next = users.find(doc! { "_id": { "$gt": after } }).sort(doc! { "_id": 1 }).limit(batch);
    next.projection(recording::projected_out()).await?.try_collect().await
}

async fn read_one(
    users: &Collection<Document>,
    id: ObjectId,
) -> Result<Option<Document>, mongodb::error::Error> {
    users.find_one(doc! { "_id": id }).projection(recording::projected_out()).await
}

/// The accounts of a batch whose documents hold a recording.
async fn with_recordings(
    users: &Collection<Document>,
    after: ObjectId,
    end: ObjectId,
) -> Result<HashSet<ObjectId>, mongodb::error::Error> {
    let held: Vec<Document> =
        recording::MEMBERS.iter().map(|member| doc! { *member: { "$exists": true, "$ne": null } }).collect();
    let filter = doc! { "_id": { "$gt": after, "$lte": end }, "$or": held };
    let ids = users.find(filter).projection(doc! { "_id": 1 }).await?;
    ids.try_filter_map(async |user| Ok(user.get_object_id("_id").ok())).try_collect().await
}
