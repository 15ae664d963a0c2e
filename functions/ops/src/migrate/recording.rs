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

use crate::{Failure, Go};

/// Moves recordings.
pub struct Mover<'a> {
    pub users: &'a Collection<Document>,
    pub recordings: ObjectStore,
    pub clock: &'a Clock,
    pub go: Go,
}

/// What became of a recording.
pub enum Moved {
    /// There was none, or only one that a newer one had replaced.
    Nothing,
    /// It is in S3 now.
    ToS3,
    /// It stays where it is, for this reason.
    Left(String),
}

impl Mover<'_> {
    /// Moves the account's recording, if its document holds one.
    pub async fn take(&self, id: ObjectId) -> Result<Moved, Failure> {
        let held = doc! { "_id": id, "recordedVoice": { "$exists": true, "$ne": null } };
        let wanted = doc! { "recordedVoice": 1, "recording": 1 };
        let Some(account) = self.users.find_one(held).projection(wanted).await? else {
            return Ok(Moved::Nothing);
        };
        // The member says, even if it is null, that its performer has used today's backend for a newer recording, or
        // to delete this one.
        if account.contains_key("recording") {
            if self.go.yes {
                self.users.update_one(doc! { "_id": id }, doc! { "$unset": { "recordedVoice": "" } }).await?;
            }
            return Ok(Moved::Nothing);
        }
        let bytes = match account.get("recordedVoice") {
            Some(Bson::Binary(binary)) => Some(Bytes::from(binary.bytes.clone())),
            Some(Bson::String(text)) => Recording::decode(text),
            _ => None,
        };
        let Some(bytes) = bytes else {
            return Ok(Moved::Left(String::from("It is neither binary nor base64.")));
        };
        let judged = bytes.clone();
        let judged = tokio::task::spawn_blocking(move || audio::inspect(&judged)).await;
        let audio = match judged {
            Ok(Ok(audio)) => audio,
            Ok(Err(why)) => return Ok(Moved::Left(why.to_string())),
            Err(_) => return Ok(Moved::Left(String::from("Judging it panicked."))),
        };
        if !self.go.yes {
            return Ok(Moved::ToS3);
        }
        let facts = RecordingMetadata::new(&bytes, &audio, self.clock);
        let recording = Recording { bytes, mime_type: facts.mime_type.clone() };
        if !self.recordings.put_if_absent(id, recording).await? && !self.is_there(id, &facts).await? {
            return Ok(Moved::Left(String::from("S3 holds another one under this account already.")));
        }
        self.forget(id, &facts).await
    }

    /// Whether an earlier run brought this very recording.
    async fn is_there(&self, id: ObjectId, facts: &RecordingMetadata) -> Result<bool, Failure> {
        let there = self.recordings.get(id).await?;
        Ok(there.is_some_and(|there| sha256_hex(&there.bytes) == facts.hash))
    }

    /// Takes the recording out of the document.
    async fn forget(&self, id: ObjectId, facts: &RecordingMetadata) -> Result<Moved, Failure> {
        let facts = serialize_to_bson(facts).map_err(mongodb::error::Error::from)?;
        let unchanged = doc! { "_id": id, "recording": { "$exists": false } };
        let update = doc! { "$set": { "recording": facts }, "$unset": { "recordedVoice": "" } };
        if self.users.update_one(unchanged, update).await?.matched_count > 0 {
            return Ok(Moved::ToS3);
        }
        // A newer recording has taken its place in S3. A deletion may have come before ours was stored.
        let now = self.users.find_one(doc! { "_id": id }).projection(doc! { "recording": 1 }).await?;
        if now.is_none_or(|account| account.get("recording").is_none_or(|facts| facts.as_null().is_some())) {
            self.recordings.delete(id).await?;
        }
        Ok(Moved::Left(String::from("It was replaced or deleted meanwhile; migrate again.")))
    }
}
