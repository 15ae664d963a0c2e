//! Accounts: made, found, changed and deleted.

use mongodb::{
    bson::{doc, oid::ObjectId},
    options::ReturnDocument,
};

use super::{Email, RecordingMetadata, Session, User, Username, Users};
use crate::{
    activation_codes::ActivationCode, error::Error, mongo, password::PasswordHash, quota::Usage,
    session::Caller, settings::Settings,
};

/// An account about to be made.
pub struct NewUser {
    /// Chosen beforehand, so that tokens can be made before the account is stored.
    pub id: ObjectId,
    /// The username.
    pub username: Username,
    /// The email address.
    pub email: Email,
    /// The password's hash.
    pub password_hash: PasswordHash,
    /// The code that pays for the account.
    pub activation_code: ActivationCode,
    /// The first session.
    pub session: Session,
}

impl Users {
    /// Stores a new account. The unique indexes decide every race: of any number of registrations with one
    /// code, one name or one address, one is stored, and nothing has to be undone for the others.
    pub async fn insert(&self, new: NewUser) -> Result<(), Error> {
        let user = User {
            id: new.id,
            username_key: Some(new.username.key()),
            username: new.username.to_string(),
            email_key: Some(new.email.key()),
            email: new.email.to_string(),
            password_hash: new.password_hash,
            activation_code: Some(new.activation_code.as_str().to_owned()),
            role: None,
            created_at: self.clock.now(),
            settings: Settings::default(),
            sessions: vec![new.session],
            recording: None,
            pending_upload: None,
            voice_clone_id: None,
            usage: Usage::default(),
            lease: None,
            lease_asked_at: None,
            replays: Vec::new(),
        };
        self.collection.insert_one(user).await.map_err(taken)?;
        Ok(())
    }

    /// The account with this username or email address, compared without case.
    pub async fn by_login(&self, login: &str) -> Result<Option<User>, Error> {
        // A username has no @, so one field can match and one index is read.
        let field = if login.contains('@') { "email_key" } else { "username_key" };
        Ok(self.collection.find_one(doc! { field: login.trim().to_lowercase() }).await?)
    }

    /// Whether an account was made with this code. The answer survives a crash between the making of the
    /// account and the marking of its code.
    pub async fn has_used(&self, code: &ActivationCode) -> Result<bool, Error> {
        let users = self.documents();
        let found = users.find_one(doc! { "activation_code": code.as_str() }).projection(doc! { "_id": 1 });
        Ok(found.await?.is_some())
    }

    /// Renames the caller. One round trip.
    pub async fn rename(
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
            .find_one_and_update(self.of(caller), doc! { "$set": set })
            .return_document(ReturnDocument::After)
            .await
            .map_err(taken)?
            .ok_or(Error::InvalidToken)
    }

    /// Sets the caller's password and ends every other session.
    pub async fn change_password(&self, caller: &Caller, hash: &PasswordHash) -> Result<(), Error> {
        let update = doc! {
            "$set": { "password_hash": hash.stored() },
            "$pull": { "sessions": { "id": { "$ne": &caller.session_id } } },
        };
        self.change(caller, update, ReturnDocument::Before).await.map(drop)
    }

    /// Sets a forgotten password, once per activation code, and ends every session. A wrong address, a wrong
    /// code and a code that has reset before are told apart by nothing.
    pub async fn reset_password(
        &self,
        email: &Email,
        code: &ActivationCode,
        hash: &PasswordHash,
    ) -> Result<(), Error> {
        let filter = doc! {
            "email_key": email.key(),
            "activation_code": code.as_str(),
            "password_reset_at": { "$exists": false },
        };
        let update = doc! { "$set": {
            "password_hash": hash.stored(), "password_reset_at": self.clock.now(), "sessions": [],
        } };
        let updated = self.collection.update_one(filter, update).await?;
        if updated.matched_count == 0 { Err(Error::InvalidActivationCode) } else { Ok(()) }
    }

    /// Replaces the caller's settings.
    pub async fn set_settings(&self, caller: &Caller, settings: &Settings) -> Result<(), Error> {
        let settings = mongodb::bson::serialize_to_bson(settings).map_err(mongodb::error::Error::from)?;
        let update = doc! { "$set": { "settings": settings } };
        self.change(caller, update, ReturnDocument::After).await.map(drop)
    }

    /// Notes the key of an offered upload, and gives the one that it replaces.
    pub async fn offer_upload(&self, caller: &Caller, key: &str) -> Result<Option<String>, Error> {
        let update = doc! { "$set": { "pending_upload": key } };
        Ok(self.change(caller, update, ReturnDocument::Before).await?.pending_upload)
    }

    /// Whether the account exists, whatever its sessions.
    pub async fn exists(&self, user_id: ObjectId) -> Result<bool, Error> {
        let users = self.documents();
        Ok(users.find_one(doc! { "_id": user_id }).projection(doc! { "_id": 1 }).await?.is_some())
    }

    /// Notes that a recording was adopted.
    pub async fn set_recording(&self, caller: &Caller, facts: &RecordingMetadata) -> Result<(), Error> {
        let facts = mongodb::bson::serialize_to_bson(facts).map_err(mongodb::error::Error::from)?;
        let update = doc! { "$set": { "recording": facts }, "$unset": { "pending_upload": "" } };
        self.change(caller, update, ReturnDocument::After).await.map(drop)
    }

    /// Forgets the recording.
    pub async fn clear_recording(&self, caller: &Caller) -> Result<(), Error> {
        self.change(caller, doc! { "$set": { "recording": null } }, ReturnDocument::After).await.map(drop)
    }

    /// Gives an account the admin role or takes it away, whoever's it is; only an operator does so.
    pub async fn set_admin(&self, user_id: ObjectId, admin: bool) -> Result<(), Error> {
        let update = if admin {
            doc! { "$set": { "role": "admin" } }
        } else {
            doc! { "$unset": { "role": "" } }
        };
        self.collection.update_one(doc! { "_id": user_id }, update).await?;
        Ok(())
    }

    /// Deletes the caller's account, sessions and all, and gives it as it was last.
    pub async fn delete(&self, caller: &Caller) -> Result<Option<User>, Error> {
        Ok(self.collection.find_one_and_delete(self.of(caller)).await?)
    }
}

/// Tells which unique index a write ran into.
fn taken(error: mongodb::error::Error) -> Error {
    match mongo::violated_index(&error, &["username_key", "email_key", "activation_code"]) {
        Some("username_key") => Error::UsernameTaken,
        Some("email_key") => Error::EmailTaken,
        Some(_) => Error::ActivationCodeUsed,
        None => Error::Mongo(error),
    }
}
