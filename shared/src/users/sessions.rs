//! Sessions: embedded in their user, so that one query loads the user and checks the session.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mongodb::{
    Collection,
    bson::{Binary, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype},
    options::ReturnDocument,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{User, Users};
use crate::{error::Error, password::PasswordHash, session::Caller};

/// How long a sign-in ttl, however often its tokens are refreshed.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// Devices on which one user is signed in at most; the oldest gives way.
const MAX_SESSIONS: i32 = 10;
/// Random bytes in a refresh token.
pub const REFRESH_SECRET_BYTES: usize = 32;

/// One sign-in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// A random UUID; access tokens carry it as `sid`.
    pub id: String,
    /// SHA-256 of the current refresh token's secret.
    pub refresh_hash: Binary,
    /// When the user signed in.
    pub created_at: DateTime,
    /// When the sign-in ends.
    pub expires_at: DateTime,
}

/// An opaque refresh token: `USER.SESSION.SECRET`, of which only the secret's hash is stored. It does not print.
pub struct RefreshToken {
    user_id: ObjectId,
    session_id: String,
    secret: SecretString,
}

impl RefreshToken {
    /// A token for a session, around fresh random bytes.
    #[must_use]
    pub fn new(user_id: ObjectId, session_id: &str, random: &[u8; REFRESH_SECRET_BYTES]) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(random).into();
        Self { user_id, session_id: session_id.to_owned(), secret }
    }

    /// Takes apart what a client sent; `None` if it is no such token.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        let mut parts = token.splitn(3, '.');
        let user_id = ObjectId::parse_str(parts.next()?).ok()?;
        let session_id = uuid::Uuid::parse_str(parts.next()?).ok()?.to_string();
        let secret = parts.next().filter(|secret| !secret.is_empty())?.into();
        Some(Self { user_id, session_id, secret })
    }

    /// As the client keeps it.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{}.{}.{}", self.user_id, self.session_id, self.secret.expose_secret())
    }

    /// The user it belongs to.
    #[must_use]
    pub fn user_id(&self) -> ObjectId {
        self.user_id
    }

    /// The session it belongs to.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// What is stored of it. The secret is 256 random bits, so a plain hash is enough.
    #[must_use]
    pub fn hash(&self) -> Binary {
        let bytes = Sha256::digest(self.secret.expose_secret()).to_vec();
        Binary { subtype: BinarySubtype::Generic, bytes }
    }
}

impl Users {
    /// The caller's document, if the session still lives. One round trip.
    pub async fn find_by_session(&self, caller: &Caller) -> Result<User, Error> {
        self.collection.find_one(self.of(caller)).await?.ok_or(Error::InvalidToken)
    }

    /// Changes the caller's document and gives it back as it is `after` or was before; 401 if the session has
    /// ended. One round trip.
    pub async fn change(
        &self,
        caller: &Caller,
        update: Document,
        give: ReturnDocument,
    ) -> Result<User, Error> {
        self.collection
            .find_one_and_update(self.of(caller), update)
            .return_document(give)
            .await?
            .ok_or(Error::InvalidToken)
    }

    /// The filter that every signed-in query uses: this user, with this session alive.
    pub(super) fn of(&self, caller: &Caller) -> Document {
        doc! {
            "_id": caller.user_id,
            "sessions": { "$elemMatch": { "id": &caller.session_id, "expires_at": { "$gt": self.clock.now() } } },
        }
    }

    /// A new session, not stored yet.
    #[must_use]
    pub fn open_session(&self, refresh_token: &RefreshToken) -> Session {
        let now = self.clock.now();
        Session {
            id: refresh_token.session_id.clone(),
            refresh_hash: refresh_token.hash(),
            created_at: now,
            expires_at: later(now, SESSION_LIFETIME),
        }
    }

    /// Stores a sign-in, forgets expired ones, and ends the oldest when there are too many; keeps the `upgraded`
    /// hash. Only if the hash is still the one that was checked, because a sign-in must not outlive a reset; gives
    /// whether it is.
    pub async fn sign_in(
        &self,
        user: &User,
        session: &Session,
        upgraded: Option<PasswordHash>,
    ) -> Result<bool, Error> {
        let session = mongodb::bson::serialize_to_bson(session).map_err(mongodb::error::Error::from)?;
        let alive = doc! { "$filter": {
            "input": { "$ifNull": ["$sessions", []] },
            "cond": { "$gt": ["$$this.expires_at", self.clock.now()] },
        } };
        let sessions = doc! { "$slice": [{ "$concatArrays": [alive, [session]] }, -MAX_SESSIONS] };
        let hash = upgraded.as_ref().unwrap_or(&user.password_hash).stored();
        let updated = self
            .collection
            .update_one(
                doc! { "_id": user.id, "password_hash": user.password_hash.stored() },
                vec![doc! { "$set": { "sessions": sessions, "password_hash": { "$literal": hash } } }],
            )
            .await?;
        Ok(updated.matched_count == 1)
    }

    /// Exchanges a refresh token for the next one of the same session. The old one used again ends the session:
    /// either the thief or the owner has been using a copy.
    pub async fn refresh(&self, old: &RefreshToken, new: &RefreshToken) -> Result<User, Error> {
        let alive = doc! { "$elemMatch": {
            "id": &old.session_id, "refresh_hash": old.hash(), "expires_at": { "$gt": self.clock.now() },
        } };
        let user = self
            .collection
            .find_one_and_update(
                doc! { "_id": old.user_id, "sessions": alive },
                doc! { "$set": { "sessions.$.refresh_hash": new.hash() } },
            )
            .await?;
        if let Some(user) = user {
            return Ok(user);
        }
        self.end_session(old.user_id, &old.session_id).await?;
        Err(Error::InvalidRefreshToken)
    }

    /// Ends the caller's session; its tokens are dead from this moment.
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), Error> {
        let update = doc! { "$pull": { "sessions": { "id": &caller.session_id } } };
        self.change(caller, update, ReturnDocument::Before).await.map(drop)
    }

    /// Ends one session; its tokens are dead from this moment. Ending an ended one is no error.
    async fn end_session(&self, user_id: ObjectId, session_id: &str) -> Result<(), Error> {
        self.collection
            .update_one(doc! { "_id": user_id }, doc! { "$pull": { "sessions": { "id": session_id } } })
            .await?;
        Ok(())
    }

    pub(super) fn documents(&self) -> Collection<Document> {
        self.collection.clone_with_type()
    }
}

fn later(at: DateTime, by: Duration) -> DateTime {
    DateTime::from_millis(at.timestamp_millis() + i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 2))
}
