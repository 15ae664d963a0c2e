//! The collection `users`: what a user is, and every query that touches one.
//!
//! - this file: the document and the store;
//! - `accounts`: registration, profile, password, deletion;
//! - `sessions`: sign-in and everything that asks "is this session alive?" (always the same query that loads the user);
//! - `lease`: one perform at a time, and the characters it may spend;
//! - `replays`: finished performs that a repeated request gets again.

mod accounts;
mod lease;
mod replays;
mod sessions;

use std::fmt;

use deserr::Deserr;
use email_address::EmailAddress;
use mongodb::{
    Collection, Database,
    bson::{DateTime, oid::ObjectId},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::{
    audio::Audio, clock::Clock, json::ValidationError, password::PasswordHash, quota::Usage,
    settings::Settings,
};

pub use accounts::NewUser;
pub(crate) use lease::from_now;
pub use lease::{Lease, LeaseError, Reservation, Settlement};
pub use replays::{Idempotency, Replay};
pub use sessions::{REFRESH_SECRET_BYTES, RefreshToken, SESSION_LIFETIME, Session};

/// The users of this deployment. Cloning it is cheap.
#[derive(Clone)]
pub struct Users {
    collection: Collection<User>,
    clock: Clock,
}

impl Users {
    /// The store in `database`.
    #[must_use]
    pub fn new(database: &Database, clock: Clock) -> Self {
        Self { collection: database.collection("users"), clock }
    }
}

/// One user, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// The user's id.
    #[serde(rename = "_id")]
    pub id: ObjectId,
    /// As the user writes it.
    pub username: String,
    /// [`Username::key`]: unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_key: Option<String>,
    /// As the user writes it.
    pub email: String,
    /// [`Email::key`]: unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_key: Option<String>,
    /// The bcrypt hash.
    pub password_hash: PasswordHash,
    /// The code that made this account: unique, which is what makes a code good for one account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_code: Option<String>,
    /// What the account may do beyond its own things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// When the account was made.
    pub created_at: DateTime,
    /// The settings.
    #[serde(default)]
    pub settings: Settings,
    /// The open sessions.
    #[serde(default)]
    pub sessions: Vec<Session>,
    /// The recording of the user's voice, which S3 keeps.
    #[serde(default)]
    pub recording: Option<RecordingMetadata>,
    /// The key of an upload that was offered and not adopted yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_upload: Option<String>,
    /// The clone that lives at the provider: null except while a perform runs.
    #[serde(default)]
    pub voice_clone_id: Option<String>,
    /// Characters spent.
    #[serde(default)]
    pub usage: Usage,
    /// The perform that runs now.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Finished performs that can be had again.
    #[serde(default)]
    pub replays: Vec<Replay>,
    /// The database's time when a lease was last asked for, to compare the lease with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_asked_at: Option<DateTime>,
}

impl User {
    /// Whether the account may make activation codes and see the provider's account.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role == Some(Role::Admin)
    }
}

/// A role. The database gives it, no token does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May make activation codes and see the provider's account.
    Admin,
}

/// What is known of a recording; the recording itself is in S3.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordingMetadata {
    /// SHA-256 of the bytes, in hex.
    pub hash: String,
    /// Size in bytes.
    pub bytes: i64,
    /// Length in seconds, by the audio's own timestamps.
    pub duration: f64,
    /// The container, as its bytes tell.
    pub mime_type: String,
    /// When it was adopted.
    pub uploaded_at: DateTime,
    /// When the client said that the speaker consents to the cloning of this recording; `None` if it did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_at: Option<DateTime>,
}

impl RecordingMetadata {
    /// The facts of a file that was judged just now; of consent nothing is known.
    #[must_use]
    pub fn new(bytes: &[u8], audio: &Audio, clock: &Clock) -> Self {
        Self {
            hash: Self::hash_of(bytes),
            bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            // To the millisecond: more is noise.
            duration: (audio.duration.as_secs_f64() * 1000.0).round() / 1000.0,
            mime_type: audio.format.mime_type().to_owned(),
            uploaded_at: clock.now(),
            consent_at: None,
        }
    }

    /// SHA-256 of a file's bytes, in hex.
    #[must_use]
    pub fn hash_of(bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }
}

/// A username: 3–32 of letters, digits, `_ . -`.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(pattern = "^[0-9A-Za-z_.-]{3,32}$", example = "ada")]
pub struct Username(String);

impl Username {
    /// What must be unique: usernames are compared without case.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl TryFrom<String> for Username {
    type Error = ValidationError;

    fn try_from(name: String) -> Result<Self, ValidationError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if (3..=32).contains(&name.len()) && name.chars().all(allowed) {
            Ok(Self(name))
        } else {
            Err(ValidationError("must have 3 to 32 letters, digits, or any of _ . -"))
        }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An email address, checked by syntax (RFC 5321 and 5322).
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(format = "email", example = "ada@example.com")]
pub struct Email(String);

impl Email {
    /// What must be unique: addresses are compared without case.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl TryFrom<String> for Email {
    type Error = ValidationError;

    fn try_from(email: String) -> Result<Self, ValidationError> {
        let email = email.trim();
        let options = email_address::Options::default()
            .with_required_tld()
            .without_domain_literal()
            .without_display_text();
        match EmailAddress::parse_with_options(email, options) {
            Ok(_) => Ok(Self(email.to_owned())),
            Err(_) => Err(ValidationError("must be an email address")),
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
