//! Sessions. They are embedded in the user's document, so that one query loads the user and checks the session.

use std::time::Duration;

use aws_lc_rs::{constant_time, hmac};
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
/// How long the predecessor of the current refresh token still gets a new one: two tabs refresh at once, and an answer
/// gets lost on a phone.
const REFRESH_GRACE: Duration = Duration::from_mins(1);
/// Current refresh tokens that a session can have: answers to one predecessor within the grace.
const MAX_CURRENT_TOKENS: i32 = 32;
/// Random bytes in a refresh token's secret.
pub const REFRESH_SECRET_BYTES: usize = 32;
/// Bytes of the code in a refresh token's secret that shows it is one of ours.
const MAC_BYTES: usize = 16;

/// How long a device is known after a sign-in.
const DEVICE_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// Devices that an account knows at a time; one more forgets the oldest.
const MAX_DEVICES: i32 = 10;

/// A device that has signed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KnownDevice {
    pub id: String,
    pub until: DateTime,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// A random UUID; access tokens carry it as `sid`.
    pub id: String,
    /// SHA-256 of the current refresh token's secret.
    pub refresh_hash: Binary,
    /// The same of the tokens that the predecessor got within the grace. They are as current as the first one: which of
    /// the answers the client kept, nobody knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sibling_hashes: Vec<Binary>,
    /// The same of the tokens that were current before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous_hashes: Vec<Binary>,
    /// When those were replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_at: Option<DateTime>,
    /// The time of the sign-in.
    pub created_at: DateTime,
    pub expires_at: DateTime,
}

/// An opaque refresh token, `USER.SESSION.SECRET`. Only the secret's hash is stored. The secret ends with a message
/// authentication code, by which an old token can be told from one that somebody made up although old hashes are not
/// kept. No `Debug`, so that it is not logged.
pub struct RefreshToken {
    user_id: ObjectId,
    session_id: String,
    secret: SecretString,
}

/// What came of a refresh token.
pub enum RefreshOutcome {
    Refreshed(Box<User>),
    /// It was an old one, and its session has ended.
    Reused,
    /// Made up, expired, or of a session that has ended.
    Invalid,
}

impl RefreshToken {
    #[must_use]
    pub fn new(
        user_id: ObjectId,
        session_id: &str,
        random: &[u8; REFRESH_SECRET_BYTES],
        key: &hmac::Key,
    ) -> Self {
        let mac = mac(user_id, session_id, random, key);
        let secret = URL_SAFE_NO_PAD.encode([&random[..], &mac].concat()).into();
        Self { user_id, session_id: session_id.to_owned(), secret }
    }

    /// Whether it was made with this key for this session, at any time.
    #[must_use]
    pub fn is_authentic(&self, key: &hmac::Key) -> bool {
        let Ok(secret) = URL_SAFE_NO_PAD.decode(self.secret.expose_secret()) else { return false };
        let Some((random, tag)) = secret.split_at_checked(REFRESH_SECRET_BYTES) else { return false };
        let expected = mac(self.user_id, &self.session_id, random, key);
        constant_time::verify_slices_are_equal(tag, &expected).is_ok()
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
            sibling_hashes: Vec::new(),
            previous_hashes: Vec::new(),
            replaced_at: None,
            created_at: now,
            expires_at: add(now, SESSION_LIFETIME),
        }
    }

    /// Whether the device has signed in to the account lately.
    #[must_use]
    pub fn knows_device(&self, user: &User, device: &KnownDevice) -> bool {
        let now = self.clock.now();
        user.known_devices.iter().any(|known| known.id == device.id && known.until > now)
    }

    /// A device that signs in now. Its id is [`crate::client_ip::ClientIp::device_id`].
    #[must_use]
    pub fn new_device(&self, id: String) -> KnownDevice {
        KnownDevice { id, until: add(self.clock.now(), DEVICE_LIFETIME) }
    }

    /// Stores a session, removes expired ones and, above the limit, the oldest; knows the device from now on; stores the
    /// `rehashed` password, if any.
    ///
    /// Does nothing and returns false if the stored hash is no longer `user.password_hash`: a sign-in with the old
    /// password must not survive a reset.
    pub async fn sign_in(
        &self,
        user: &User,
        session: &Session,
        device: &KnownDevice,
        rehashed: Option<PasswordHash>,
    ) -> Result<bool, Error> {
        let other_devices = doc! { "$filter": {
            "input": { "$ifNull": ["$known_devices", []] },
            "cond": { "$and": [
                { "$gt": ["$$this.until", self.clock.now()] }, { "$ne": ["$$this.id", &device.id] },
            ] },
        } };
        let device = doc! { "id": &device.id, "until": device.until };
        let devices = doc! { "$slice": [{ "$concatArrays": [other_devices, [device]] }, -MAX_DEVICES] };
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
                vec![doc! { "$set": {
                    "sessions": sessions, "known_devices": devices, "password_hash": { "$literal": hash },
                } }],
            )
            .await?;
        Ok(updated.matched_count == 1)
    }

    /// Exchanges a refresh token for a new one of the same session.
    ///
    /// The immediate predecessor of the current token gets a new one too, for as long as the grace lasts. Any other use of
    /// an old token ends the session, because then either the owner or a thief has used a copy (RFC 9700, section
    /// 4.14.2). `old_is_authentic` says whether the old token was ever valid: a made-up one ends nothing, or anybody who
    /// knows the ids could sign a user out.
    pub async fn refresh(
        &self,
        old: &RefreshToken,
        new: &RefreshToken,
        old_is_authentic: bool,
    ) -> Result<RefreshOutcome, Error> {
        if let Some(user) = self.replace_refresh_token(old, new).await? {
            return Ok(RefreshOutcome::Refreshed(Box::new(user)));
        }
        if let Some(user) = self.add_refresh_token(old, new).await? {
            return Ok(RefreshOutcome::Refreshed(Box::new(user)));
        }
        if old_is_authentic && self.end_session(old.user_id, &old.session_id).await? {
            return Ok(RefreshOutcome::Reused);
        }
        Ok(RefreshOutcome::Invalid)
    }

    /// `None` if the old token is not current.
    async fn replace_refresh_token(
        &self,
        old: &RefreshToken,
        new: &RefreshToken,
    ) -> Result<Option<User>, Error> {
        let now = self.clock.now();
        let current = |field: &str| {
            let mut session = doc! { "id": &old.session_id, "expires_at": { "$gt": now } };
            session.insert(field, old.hash());
            doc! { "sessions": { "$elemMatch": session } }
        };
        let replaced = doc! { "$mergeObjects": ["$$this", {
            "refresh_hash": new.hash(),
            "sibling_hashes": [],
            "previous_hashes": { "$concatArrays": [
                ["$$this.refresh_hash"], { "$ifNull": ["$$this.sibling_hashes", []] },
            ] },
            "replaced_at": now,
        }] };
        let sessions = doc! { "$map": { "input": "$sessions", "in": {
            "$cond": [{ "$eq": ["$$this.id", &old.session_id] }, replaced, "$$this"],
        } } };
        let found = self.collection.find_one_and_update(
            doc! { "_id": old.user_id, "$or": [current("refresh_hash"), current("sibling_hashes")] },
            vec![doc! { "$set": { "sessions": sessions } }],
        );
        Ok(found.await?)
    }

    /// `None` if the old token is not the predecessor, or the grace is over.
    async fn add_refresh_token(&self, old: &RefreshToken, new: &RefreshToken) -> Result<Option<User>, Error> {
        let now = self.clock.now();
        let session = doc! { "$elemMatch": {
            "id": &old.session_id,
            "expires_at": { "$gt": now },
            "previous_hashes": old.hash(),
            "replaced_at": { "$gte": subtract(now, REFRESH_GRACE) },
        } };
        let siblings = doc! { "$each": [new.hash()], "$slice": 1 - MAX_CURRENT_TOKENS };
        let found = self.collection.find_one_and_update(
            doc! { "_id": old.user_id, "sessions": session },
            doc! { "$push": { "sessions.$.sibling_hashes": siblings } },
        );
        Ok(found.await?)
    }

    /// Ends the caller's session. Its access tokens are invalid at once, not only its refresh token.
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), Error> {
        let update = doc! { "$pull": { "sessions": { "id": &caller.session_id } } };
        self.find_and_update(caller, update, ReturnDocument::Before).await.map(drop)
    }

    /// Ends a session; false if it has ended already.
    async fn end_session(&self, user_id: ObjectId, session_id: &str) -> Result<bool, Error> {
        let session = doc! { "id": session_id };
        let updated = self
            .collection
            .update_one(
                doc! { "_id": user_id, "sessions": { "$elemMatch": &session } },
                doc! { "$pull": { "sessions": session } },
            )
            .await?;
        Ok(updated.matched_count == 1)
    }
}

pub(super) fn add(at: DateTime, duration: Duration) -> DateTime {
    DateTime::from_millis(at.timestamp_millis() + i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2))
}

fn subtract(at: DateTime, duration: Duration) -> DateTime {
    DateTime::from_millis(at.timestamp_millis() - i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2))
}

/// Binds the random part of a secret to its session.
fn mac(user_id: ObjectId, session_id: &str, random: &[u8], key: &hmac::Key) -> [u8; MAC_BYTES] {
    let message = [&user_id.bytes()[..], session_id.as_bytes(), random].concat();
    let tag = hmac::sign(key, &message);
    let mut mac = [0; MAC_BYTES];
    mac.copy_from_slice(&tag.as_ref()[..MAC_BYTES]);
    mac
}
