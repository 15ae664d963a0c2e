//! Sessions. They are embedded in the user's document, so that one query loads the user and checks the session.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mongodb::{
    bson::{Binary, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype},
    options::ReturnDocument,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{User, Users};
use crate::{error::Error, password::PasswordHash, session::Caller};

/// From sign-in; refreshing tokens does not prolong a session.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// Sessions that a user can have at a time; one more ends the oldest.
const MAX_SESSIONS: i32 = 10;
pub const REFRESH_SECRET_BYTES: usize = 32;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// A random UUID; access tokens carry it as `sid`.
    pub id: String,
    /// SHA-256 of the current refresh token's secret.
    pub refresh_hash: Binary,
    /// The time of the sign-in.
    pub created_at: DateTime,
    pub expires_at: DateTime,
}

/// An opaque refresh token, `USER.SESSION.SECRET`. Only the secret's hash is stored. No `Debug`, so that it is not logged.
pub struct RefreshToken {
    user_id: ObjectId,
    session_id: String,
    secret: SecretString,
}

impl RefreshToken {
    #[must_use]
    pub fn new(user_id: ObjectId, session_id: &str, random: &[u8; REFRESH_SECRET_BYTES]) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(random).into();
        Self { user_id, session_id: session_id.to_owned(), secret }
    }

    /// `None` if `token` does not have the form of a refresh token.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        let mut parts = token.splitn(3, '.');
        let user_id = ObjectId::parse_str(parts.next()?).ok()?;
        let session_id = uuid::Uuid::parse_str(parts.next()?).ok()?.to_string();
        let secret = parts.next().filter(|secret| !secret.is_empty())?.into();
        Some(Self { user_id, session_id, secret })
    }

    /// The token as sent to the client.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{}.{}.{}", self.user_id, self.session_id, self.secret.expose_secret())
    }

    #[must_use]
    pub fn user_id(&self) -> ObjectId {
        self.user_id
    }

    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// SHA-256 of the secret. The secret is 256 random bits, so a slow hash is not needed.
    #[must_use]
    pub fn hash(&self) -> Binary {
        let bytes = Sha256::digest(self.secret.expose_secret()).to_vec();
        Binary { subtype: BinarySubtype::Generic, bytes }
    }
}

impl Users {
    /// The caller's document; [`Error::InvalidToken`] if the session has ended.
    pub async fn find_by_session(&self, caller: &Caller) -> Result<User, Error> {
        self.collection.find_one(self.session_filter(caller)).await?.ok_or(Error::InvalidToken)
    }

    /// Updates the caller's document and returns it as it was before or is after the update; [`Error::InvalidToken`] if
    /// the session has ended.
    pub(super) async fn find_and_update(
        &self,
        caller: &Caller,
        update: Document,
        returned: ReturnDocument,
    ) -> Result<User, Error> {
        self.collection
            .find_one_and_update(self.session_filter(caller), update)
            .return_document(returned)
            .await?
            .ok_or(Error::InvalidToken)
    }

    /// Matches the caller's document if it has an unexpired session of the caller's id. Every query on behalf of a signed-in
    /// user uses it.
    pub(super) fn session_filter(&self, caller: &Caller) -> Document {
        doc! {
            "_id": caller.user_id,
            "sessions": { "$elemMatch": { "id": &caller.session_id, "expires_at": { "$gt": self.clock.now() } } },
        }
    }

    /// A session that is not stored yet.
    #[must_use]
    pub fn new_session(&self, refresh_token: &RefreshToken) -> Session {
        let now = self.clock.now();
        Session {
            id: refresh_token.session_id.clone(),
            refresh_hash: refresh_token.hash(),
            created_at: now,
            expires_at: add(now, SESSION_LIFETIME),
        }
    }

    /// Stores a session, removes expired ones and, above the limit, the oldest; stores the `rehashed` password, if any.
    ///
    /// Does nothing and returns false if the stored hash is no longer `user.password_hash`: a sign-in with the old
    /// password must not survive a reset.
    pub async fn sign_in(
        &self,
        user: &User,
        session: &Session,
        rehashed: Option<PasswordHash>,
    ) -> Result<bool, Error> {
        let session = mongodb::bson::serialize_to_bson(session).map_err(mongodb::error::Error::from)?;
        let unexpired = doc! { "$filter": {
            "input": { "$ifNull": ["$sessions", []] },
            "cond": { "$gt": ["$$this.expires_at", self.clock.now()] },
        } };
        let sessions = doc! { "$slice": [{ "$concatArrays": [unexpired, [session]] }, -MAX_SESSIONS] };
        let hash = rehashed.as_ref().unwrap_or(&user.password_hash).stored();
        let updated = self
            .collection
            .update_one(
                doc! { "_id": user.id, "password_hash": user.password_hash.stored() },
                vec![doc! { "$set": { "sessions": sessions, "password_hash": { "$literal": hash } } }],
            )
            .await?;
        Ok(updated.matched_count == 1)
    }

    /// Exchanges a refresh token for the next one of the same session. Reuse of an old token ends the session, because then
    /// either the owner or a thief has used a copy.
    pub async fn refresh(&self, old: &RefreshToken, new: &RefreshToken) -> Result<User, Error> {
        let session = doc! { "$elemMatch": {
            "id": &old.session_id, "refresh_hash": old.hash(), "expires_at": { "$gt": self.clock.now() },
        } };
        let user = self
            .collection
            .find_one_and_update(
                doc! { "_id": old.user_id, "sessions": session },
                doc! { "$set": { "sessions.$.refresh_hash": new.hash() } },
            )
            .await?;
        if let Some(user) = user {
            return Ok(user);
        }
        self.end_session(old.user_id, &old.session_id).await?;
        Err(Error::InvalidRefreshToken)
    }

    /// Ends the caller's session. Its access tokens are invalid at once, not only its refresh token.
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), Error> {
        let update = doc! { "$pull": { "sessions": { "id": &caller.session_id } } };
        self.find_and_update(caller, update, ReturnDocument::Before).await.map(drop)
    }

    /// Ends a session. Not an error if it has ended already.
    async fn end_session(&self, user_id: ObjectId, session_id: &str) -> Result<(), Error> {
        self.collection
            .update_one(doc! { "_id": user_id }, doc! { "$pull": { "sessions": { "id": session_id } } })
            .await?;
        Ok(())
    }
}

fn add(at: DateTime, duration: Duration) -> DateTime {
    DateTime::from_millis(at.timestamp_millis() + i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2))
}
