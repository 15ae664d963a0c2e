//! A recording that the earlier backend kept in the account's document, moved to S3 after the same check as an
//! upload's.
//!
//! First to S3, and only if nothing is there yet; then out of the document, and only if no newer recording was made
//! or deleted meanwhile. Whatever dies in between, the recording is in one of the two places and the next run goes on.

use bytes::Bytes;
use mongodb::{
    Collection,
    bson::{Bson, Document, doc, oid::ObjectId, serialize_to_bson},
};
use shared::{
    audio,
    clock::Clock,
    digest::sha256_hex,
    object_store::{ObjectStore, Recording},
    users::RecordingMetadata,
};

use crate::{Confirm, Failure};

/// The members that hold recordings, the newest form first.
pub const MEMBERS: [&str; 2] = ["recordedVoiceBinary", "recordedVoice"];

/// A projection without the recordings, which can be large.
pub fn projected_out() -> Document {
    MEMBERS.iter().map(|member| ((*member).to_owned(), Bson::Int32(0))).collect()
}

/// Moves recordings.
pub struct Mover<'a> {
    pub users: &'a Collection<Document>,
    pub recordings: ObjectStore,
    pub clock: &'a Clock,
    pub confirm: Confirm,
}

/// What became of an account's recordings.
#[derive(Default)]
pub struct Moved {
    pub change: Option<Change>,
    /// Why some stay where they are.
    pub skipped: Vec<String>,
}

pub struct Change {
    pub what: String,
    /// Whether a recording goes to S3; otherwise the document is only rid of copies.
    pub to_s3: bool,
}

impl Moved {
    fn skipped(why: &(impl ToString + ?Sized)) -> Self {
        Self { change: None, skipped: vec![why.to_string()] }
    }
}

/// One recording in a document.
struct Stored {
    member: &'static str,
    /// `None` if it is neither binary nor base64.
    bytes: Option<Bytes>,
}

impl Stored {
    /// Whether this recording, or what validation keeps of it, has the hash.
    fn is(&self, hash: &str) -> bool {
        let Some(bytes) = &self.bytes else { return false };
        sha256_hex(bytes) == hash || audio::inspect(bytes).is_ok_and(|audio| sha256_hex(&audio.bytes) == hash)
    }
}

impl Mover<'_> {
    /// Moves the account's recording, if its document holds one: the newest decides, as it did for its owner.
    pub async fn migrate(&self, id: ObjectId) -> Result<Moved, Failure> {
        let wanted = doc! { "recordedVoiceBinary": 1, "recordedVoice": 1, "recording": 1 };
        let Some(mut account) = self.users.find_one(doc! { "_id": id }).projection(wanted).await? else {
            return Ok(Moved::default());
        };
        let stored: Vec<Stored> = MEMBERS
            .into_iter()
            .filter_map(|member| {
                let bytes = match account.remove(member)? {
                    Bson::Null => return None,
                    Bson::Binary(binary) => Some(Bytes::from(binary.bytes)),
                    Bson::String(text) => Recording::decode(&text),
                    _ => None,
                };
                Some(Stored { member, bytes })
            })
            .collect();
        match account.get("recording") {
            None => self.move_newest(id, &stored).await,
            // Its owner has used today's backend to delete the recording.
            Some(Bson::Null) => {
                let members = stored.iter().map(|stored| stored.member).collect();
                self.remove_copies(id, members, "a recording that its owner deleted").await
            }
            Some(facts) => {
                let hash =
                    facts.as_document().and_then(|facts| facts.get_str("hash").ok()).unwrap_or_default();
                self.keep_older(id, &stored, hash).await
            }
        }
    }

    async fn move_newest(&self, id: ObjectId, stored: &[Stored]) -> Result<Moved, Failure> {
        let Some(newest) = stored.first() else { return Ok(Moved::default()) };
        let Some(bytes) = newest.bytes.clone() else {
            return Ok(Moved::skipped("It is neither binary nor base64."));
        };
        let audio = match audio::validate(bytes).await {
            Ok(audio) => audio,
            Err(error) => return Ok(Moved::skipped(&error)),
        };
        let facts = RecordingMetadata::new(&audio, self.clock);
        let (duration, mime_type) = (facts.duration, &facts.mime_type);
        let mut moved = Moved {
            change: Some(Change {
                what: format!("recording ({}, {duration:.1} s of {mime_type}) to S3", newest.member),
                to_s3: true,
            }),
            skipped: older(stored, &facts.hash),
        };
        if !self.confirm.yes {
            return Ok(moved);
        }
        let recording = Recording { bytes: audio.bytes, mime_type: facts.mime_type.clone() };
        if !self.recordings.put_if_absent(id, recording).await? && !self.is_there(id, &facts).await? {
            return Ok(Moved::skipped("S3 holds another one under this account already."));
        }
        if !self.forget(id, &facts, stored).await? {
            moved = Moved::skipped("It was replaced or deleted meanwhile; migrate again.");
        }
        Ok(moved)
    }

    /// The recording is in S3; a copy of it need not stay, and an older one is not thrown away here.
    async fn keep_older(&self, id: ObjectId, stored: &[Stored], hash: &str) -> Result<Moved, Failure> {
        let copies: Vec<&str> =
            stored.iter().filter(|stored| stored.is(hash)).map(|stored| stored.member).collect();
        let mut moved = Moved::default();
        if !copies.is_empty() {
            moved = self.remove_copies(id, copies, "a copy of the recording in S3").await?;
        }
        moved.skipped = older(stored, hash);
        Ok(moved)
    }

    async fn remove_copies(&self, id: ObjectId, members: Vec<&str>, what: &str) -> Result<Moved, Failure> {
        if self.confirm.yes {
            let unset: Document =
                members.iter().map(|member| ((*member).to_owned(), Bson::from(""))).collect();
            self.users.update_one(doc! { "_id": id }, doc! { "$unset": unset }).await?;
        }
        let what = format!("{} removed: {what}", members.join(", "));
        Ok(Moved { change: Some(Change { what, to_s3: false }), skipped: Vec::new() })
    }

    /// Whether an earlier run brought this very recording.
    async fn is_there(&self, id: ObjectId, facts: &RecordingMetadata) -> Result<bool, Failure> {
        let there = self.recordings.get(id).await?;
        Ok(there.is_some_and(|there| sha256_hex(&there.bytes) == facts.hash))
    }

    /// Takes the recording out of the document; tells whether it still was the account's.
    async fn forget(
        &self,
        id: ObjectId,
        facts: &RecordingMetadata,
        stored: &[Stored],
    ) -> Result<bool, Failure> {
        let copies = stored.iter().filter(|stored| stored.is(&facts.hash));
        let unset: Document = copies.map(|copy| (copy.member.to_owned(), Bson::from(""))).collect();
        let facts = serialize_to_bson(facts).map_err(mongodb::error::Error::from)?;
        let unchanged = doc! { "_id": id, "recording": { "$exists": false } };
        let update = doc! { "$set": { "recording": facts }, "$unset": unset };
        if self.users.update_one(unchanged, update).await?.matched_count > 0 {
            return Ok(true);
        }
        // A newer recording has taken its place in S3. A deletion may have come before ours was stored.
        let now = self.users.find_one(doc! { "_id": id }).projection(doc! { "recording": 1 }).await?;
        if now.is_none_or(|account| account.get("recording").is_none_or(|facts| *facts == Bson::Null)) {
            self.recordings.delete(id).await?;
        }
        Ok(false)
    }
}

/// The recordings that are not the one with this hash.
fn older(stored: &[Stored], hash: &str) -> Vec<String> {
    let others = stored.iter().filter(|stored| !stored.is(hash));
    others
        .map(|other| {
            format!("An older one stays in {}; a new recording or its deletion removes it.", other.member)
        })
        .collect()
}
