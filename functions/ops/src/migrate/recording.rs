//! Moves a recording that the earlier backend stored in the account's document to S3, after the same validation as an
//! upload's.
//!
//! It is written to S3 only if there is none yet, and then removed from the document only if no newer recording was
//! stored or deleted meanwhile. After a crash the recording is in at least one of the two places, and the next run goes
//! on.

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

pub struct Mover<'a> {
    pub users: &'a Collection<Document>,
    pub recordings: ObjectStore,
    pub clock: &'a Clock,
    pub confirm: Confirm,
}

pub enum Moved {
    /// There was none, or only one that a newer one has replaced.
    Nothing,
    ToS3,
    /// Needs manual action, for this reason.
    Skipped(String),
}

impl Mover<'_> {
    pub async fn migrate(&self, id: ObjectId) -> Result<Moved, Failure> {
        let filter = doc! { "_id": id, "recordedVoice": { "$exists": true, "$ne": null } };
        let wanted = doc! { "recordedVoice": 1, "recording": 1 };
        let Some(account) = self.users.find_one(filter).projection(wanted).await? else {
            return Ok(Moved::Nothing);
        };
        // If the member exists, even as null, the user has stored a newer recording or deleted this one since.
        if account.contains_key("recording") {
            if self.confirm.yes {
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
            return Ok(Moved::Skipped(String::from("It is neither binary nor base64.")));
        };
        let audio = match audio::validate(bytes.clone()).await {
            Ok(audio) => audio,
            Err(error) => return Ok(Moved::Skipped(error.to_string())),
        };
        if !self.confirm.yes {
            return Ok(Moved::ToS3);
        }
        let metadata = RecordingMetadata::new(&bytes, &audio, self.clock);
        let recording = Recording { bytes, mime_type: metadata.mime_type.clone() };
        if !self.recordings.put_if_absent(id, recording).await? && !self.is_stored(id, &metadata).await? {
            return Ok(Moved::Skipped(String::from("S3 already has another one for this account.")));
        }
        self.remove_from_document(id, &metadata).await
    }

    /// Whether an earlier run has already stored this recording in S3.
    async fn is_stored(&self, id: ObjectId, metadata: &RecordingMetadata) -> Result<bool, Failure> {
        let stored = self.recordings.get(id).await?;
        Ok(stored.is_some_and(|stored| sha256_hex(&stored.bytes) == metadata.hash))
    }

    async fn remove_from_document(
        &self,
        id: ObjectId,
        metadata: &RecordingMetadata,
    ) -> Result<Moved, Failure> {
        let metadata = serialize_to_bson(metadata).map_err(mongodb::error::Error::from)?;
        let unchanged = doc! { "_id": id, "recording": { "$exists": false } };
        let update = doc! { "$set": { "recording": metadata }, "$unset": { "recordedVoice": "" } };
        if self.users.update_one(unchanged, update).await?.matched_count > 0 {
            return Ok(Moved::ToS3);
        }
        // Either a newer recording has replaced it in S3, or a deletion came before it was stored there.
        let now = self.users.find_one(doc! { "_id": id }).projection(doc! { "recording": 1 }).await?;
        if now.is_none_or(|account| {
            account.get("recording").is_none_or(|recording| recording.as_null().is_some())
        }) {
            self.recordings.delete(id).await?;
        }
        Ok(Moved::Skipped(String::from("It was replaced or deleted meanwhile; migrate again.")))
    }
}
