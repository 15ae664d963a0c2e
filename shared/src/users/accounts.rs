//! Accounts: created, found, updated and deleted.

use mongodb::{
    bson::{Document, deserialize_from_document, doc, oid::ObjectId},
    options::ReturnDocument,
};

use super::{
    Email, HourlyUses, KnownDevice, Limited, RecordingMetadata, Session, Usage, UsedCodes, User, Username,
    Users, login_key,
};
use crate::{
    activation_codes::ActivationCode, error::Error, mongo, password::PasswordHash, session::Caller,
    settings::Settings,
};

pub struct NewUser {
    /// Chosen by the caller, because the first session's refresh token contains it.
    pub id: ObjectId,
    pub username: Username,
    pub email: Email,
    pub password_hash: PasswordHash,
    pub activation_code: ActivationCode,
    pub session: Session,
    pub device: KnownDevice,
}

impl Users {
    /// Stores a new account. The unique indexes decide races: of concurrent registrations with one code, username or
    /// address, one succeeds, and the others have stored nothing that would have to be undone.
    pub async fn insert(&self, new: NewUser) -> Result<(), Error> {
        let user = User {
            id: new.id,
            username_key: Some(new.username.key()),
            username: new.username.to_string(),
            email_key: Some(new.email.key()),
            email: new.email.to_string(),
            password_hash: new.password_hash,
            activation_code: Some(UsedCodes::One(new.activation_code.as_str().to_owned())),
            role: None,
            created_at: self.clock.now(),
            settings: Settings::default(),
            sessions: vec![new.session],
            known_devices: vec![new.device],
            recording: None,
            pending_upload: None,
            voice_clone_id: None,
            usage: Usage::default(),
            clone_limit: None,
            hourly: HourlyUses::new(),
            lease: None,
            lease_queue: Vec::new(),
            lease_asked_at: None,
            replays: Vec::new(),
        };
        self.collection.insert_one(user).await.map_err(unique_violation)?;
        Ok(())
    }

    /// The account with this username or email address, compared without case. A document that cannot be read counts as
    /// none: it locks out its account alone.
    pub async fn find_by_login(&self, login: &str) -> Result<Option<User>, Error> {
        let key = login_key(login);
        // Only the earlier backend's usernames can contain an @.
        let filter = if key.contains('@') {
            doc! { "$or": [{ "email_key": &key }, { "username_key": &key }] }
        } else {
            doc! { "username_key": &key }
        };
        let Some(stored) = self.documents().find_one(filter).await? else { return Ok(None) };
        let id = stored.get_object_id("_id").ok();
        let user = deserialize_from_document(stored).inspect_err(|_| {
            tracing::warn!(user_id = ?id, "an account cannot be read, so nobody can sign in to it");
        });
        Ok(user.ok())
    }

    /// Whether an account was registered with this code. Still right after a crash between storing the account and
    /// marking its code as used.
    pub async fn has_used(&self, code: &ActivationCode) -> Result<bool, Error> {
        let users = self.documents();
        let found = users.find_one(doc! { "activation_code": code.as_str() }).projection(doc! { "_id": 1 });
        Ok(found.await?.is_some())
    }

    /// Changes the caller's username, email address, or both.
    pub async fn update_profile(
        &self,
        caller: &Caller,
        username: Option<&Username>,
        email: Option<&Email>,
    ) -> Result<User, Error> {
        let mut set = doc! {};
        if let Some(username) = username {
            set.insert("username", username.to_string());
            set.insert("username_key", username.key());
        }
        if let Some(email) = email {
            set.insert("email", email.to_string());
            set.insert("email_key", email.key());
        }
        if set.is_empty() {
            return self.find_by_session(caller).await;
        }
        self.collection
            .find_one_and_update(self.session_filter(caller), doc! { "$set": set })
            .return_document(ReturnDocument::After)
            .await
            .map_err(unique_violation)?
            .ok_or(Error::InvalidToken)
    }

    /// Sets the caller's password and ends every other session.
    pub async fn change_password(&self, caller: &Caller, hash: &PasswordHash) -> Result<(), Error> {
        let update = doc! {
            "$set": { "password_hash": hash.stored() },
            "$pull": { "sessions": { "id": { "$ne": &caller.session_id } } },
        };
        self.find_and_update(caller, update, ReturnDocument::Before).await.map(drop)
    }

    /// Resets a forgotten password, once per activation code, and ends every session. A wrong address, a wrong code and
    /// a code that was already used for a reset are indistinguishable. Gives the account.
    ///
    /// `reset_codes` are those that have reset. Documents of before it have `password_reset_at` alone, and one code.
    pub async fn reset_password(
        &self,
        email: &Email,
        code: &ActivationCode,
        hash: &PasswordHash,
    ) -> Result<ObjectId, Error> {
        let filter = doc! {
            "email_key": email.key(),
            "activation_code": code.as_str(),
            "reset_codes": { "$ne": code.as_str() },
            "$or": [{ "password_reset_at": { "$exists": false } }, { "reset_codes": { "$exists": true } }],
        };
        let update = doc! {
            "$set": { "password_hash": hash.stored(), "password_reset_at": self.clock.now(), "sessions": [] },
            "$push": { "reset_codes": code.as_str() },
        };
        let reset =
            self.documents().find_one_and_update(filter, update).projection(doc! { "_id": 1 }).await?;
        reset.and_then(|user| user.get_object_id("_id").ok()).ok_or(Error::InvalidActivationCode)
    }

    pub async fn set_settings(&self, caller: &Caller, settings: &Settings) -> Result<(), Error> {
        let settings = mongodb::bson::serialize_to_bson(settings).map_err(mongodb::error::Error::from)?;
        let update = doc! { "$set": { "settings": settings } };
        self.find_and_update(caller, update, ReturnDocument::After).await.map(drop)
    }

    /// Stores the key of the caller's pending upload and returns the key that it replaces. Counts the offer.
    pub async fn set_pending_upload(&self, caller: &Caller, key: &str) -> Result<Option<String>, Error> {
        let set = doc! { "pending_upload": key };
        let before = self.count_and_set(caller, Limited::UploadOffers, set, ReturnDocument::Before).await?;
        Ok(before.pending_upload)
    }

    /// Whether the account exists, whether or not it has a session.
    pub async fn exists(&self, user_id: ObjectId) -> Result<bool, Error> {
        let users = self.documents();
        Ok(users.find_one(doc! { "_id": user_id }).projection(doc! { "_id": 1 }).await?.is_some())
    }

    /// Stores the metadata of the caller's new recording; no upload is pending any more.
    pub async fn set_recording(&self, caller: &Caller, metadata: &RecordingMetadata) -> Result<(), Error> {
        let metadata = mongodb::bson::serialize_to_bson(metadata).map_err(mongodb::error::Error::from)?;
        let mut outdated = earlier_recording();
        outdated.insert("pending_upload", "");
        let update = doc! { "$set": { "recording": metadata }, "$unset": outdated };
        self.find_and_update(caller, update, ReturnDocument::After).await.map(drop)
    }

    /// Remembers that voices made from this recording cannot be used, until it is replaced.
    pub async fn set_requires_verification(&self, user_id: ObjectId, hash: &str) -> Result<(), Error> {
        let update = self.collection.update_one(
            doc! { "_id": user_id, "recording.hash": hash },
            doc! { "$set": { "recording.requires_verification": true } },
        );
        mongo::with_timeout(update).await?;
        Ok(())
    }

    /// Forgets the caller's recording and what was spoken with it, and returns the document as it was.
    pub async fn clear_recording(&self, caller: &Caller) -> Result<User, Error> {
        let update = doc! { "$set": { "recording": null, "replays": [] }, "$unset": earlier_recording() };
        self.find_and_update(caller, update, ReturnDocument::Before).await
    }

    /// Sets the user's voice creations per month; `None` means the deployment's limit. For operators: it does not ask who
    /// calls.
    pub async fn set_clone_limit(&self, user_id: ObjectId, limit: Option<i64>) -> Result<(), Error> {
        let update = if let Some(limit) = limit {
            doc! { "$set": { "clone_limit": limit } }
        } else {
            doc! { "$unset": { "clone_limit": "" } }
        };
        self.collection.update_one(doc! { "_id": user_id }, update).await?;
        Ok(())
    }

    /// Grants or revokes the admin role. For operators: it does not ask who calls.
    pub async fn set_admin(&self, user_id: ObjectId, admin: bool) -> Result<(), Error> {
        let update = if admin {
            doc! { "$set": { "role": "admin" } }
        } else {
            doc! { "$unset": { "role": "" } }
        };
        self.collection.update_one(doc! { "_id": user_id }, update).await?;
        Ok(())
    }

    /// Deletes the caller's account and returns the deleted document; `None` if the session has ended.
    pub async fn delete(&self, caller: &Caller) -> Result<Option<User>, Error> {
        Ok(self.collection.find_one_and_delete(self.session_filter(caller)).await?)
    }
}

/// Where the earlier backend kept a recording. One that `cargo ops migrate` refused is still there, until its owner
/// records anew or deletes it.
fn earlier_recording() -> Document {
    doc! {
        "recordedVoice": "", "recordedVoiceBinary": "", "recordedVoiceMime": "", "recordedVoiceHash": "",
        "recordedVoiceDuration": "", "recordedVoiceSourceFormat": "", "recordedVoiceTranscoded": "",
    }
}

fn unique_violation(error: mongodb::error::Error) -> Error {
    match mongo::violated_index(&error, &["username_key", "email_key", "activation_code"]) {
        Some("username_key") => Error::UsernameTaken,
        Some("email_key") => Error::EmailTaken,
        Some(_) => Error::ActivationCodeUsed,
        None => Error::Mongo(error),
    }
}
