//! The collection `users`: the document and every query on it.
//!
//! - this file: the document and the store;
//! - `accounts`: registration, profile, password, deletion;
//! - `sessions`: sign-in and refresh, and the filter by which loading a user also checks the session;
//! - `limits`: how often a user may do what is costly;
//! - `lease`: one perform at a time, and the characters it may spend;
//! - `replays`: finished performs, kept for idempotent retries;
//! - `usage`: characters spent in a month.

mod accounts;
mod lease;
mod limits;
mod replays;
mod sessions;
mod usage;

use std::fmt;

use deserr::Deserr;
use email_address::EmailAddress;
use mongodb::{
    Collection, Database,
    bson::{DateTime, Document, oid::ObjectId},
};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use utoipa::ToSchema;

use crate::{
    audio::Audio,
    clock::Clock,
    digest::sha256_hex,
    password::PasswordHash,
    settings::Settings,
    validation::{ValidationError, trim_blanks},
};

pub use accounts::NewUser;
pub use lease::{Lease, LeaseError, Reservation, Settlement, Waiter};
pub use limits::{HourlyUses, Limited};
pub use replays::{Idempotency, Replay};
pub use sessions::{
    KnownDevice, REFRESH_SECRET_BYTES, RefreshOutcome, RefreshToken, SESSION_LIFETIME, Session,
};
pub use usage::Usage;

/// The form in which usernames and email addresses are compared: without blanks around them, in NFC and in lower case.
#[must_use]
pub fn login_key(login: &str) -> String {
    let lower = trim_blanks(login).nfc().collect::<String>().to_lowercase();
    // A lower-case letter can be two characters.
    lower.nfc().collect()
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Users {
    collection: Collection<User>,
    clock: Clock,
}

impl Users {
    #[must_use]
    pub fn new(database: &Database, clock: Clock) -> Self {
        Self { collection: database.collection("users"), clock }
    }

    /// The collection for queries that do not need a whole user.
    fn documents(&self) -> Collection<Document> {
        self.collection.clone_with_type()
    }
}

/// One user, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    #[serde(rename = "_id")]
    pub id: ObjectId,
    /// As the user typed it.
    pub username: String,
    /// [`Username::key`]: unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_key: Option<String>,
    /// As the user typed it.
    pub email: String,
    /// [`Email::key`]: unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_key: Option<String>,
    pub password_hash: PasswordHash,
    /// What the account was registered with. Unique, so that a code registers one account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_code: Option<UsedCodes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    pub created_at: DateTime,
    #[serde(default)]
    pub settings: Settings,
    #[serde(default)]
    pub sessions: Vec<Session>,
    /// Where the user has signed in lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_devices: Vec<KnownDevice>,
    /// The recording of the user's voice. The audio itself is in S3.
    #[serde(default)]
    pub recording: Option<RecordingMetadata>,
    /// The key of an upload whose URL was created, until its recording is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_upload: Option<String>,
    /// The clone at the provider; null except while a perform runs.
    #[serde(default)]
    pub voice_clone_id: Option<String>,
    #[serde(default)]
    pub usage: Usage,
    /// Voice creations per month, in place of the deployment's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone_limit: Option<i64>,
    #[serde(default, skip_serializing_if = "HourlyUses::is_empty")]
    pub hourly: HourlyUses,
    /// The perform that is running.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Performs that wait for the lease, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lease_queue: Vec<Waiter>,
    /// Finished performs, kept for idempotent retries.
    #[serde(default)]
    pub replays: Vec<Replay>,
    /// The database's time of the latest attempt to acquire a lease, to compare the lease's expiry with.
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

/// The activation codes of an account: the earlier backend let one account use several. The unique index covers each of
/// them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UsedCodes {
    One(String),
    Several(Vec<String>),
}

impl UsedCodes {
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(code) => std::slice::from_ref(code),
            Self::Several(codes) => codes,
        }
    }
}

/// Read from the database on each request; access tokens do not carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May make activation codes and see the provider's account.
    Admin,
}

/// Metadata of a recording. The audio itself is in S3.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordingMetadata {
    /// SHA-256 of the bytes, in hex.
    pub hash: String,
    /// Size in bytes.
    pub bytes: i64,
    /// Seconds, counted in decoded samples, rounded to milliseconds.
    pub duration: f64,
    /// The container's media type, detected from the bytes.
    pub mime_type: String,
    pub uploaded_at: DateTime,
    /// When the client confirmed the speaker's consent to cloning this recording; `None` if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_at: Option<DateTime>,
    /// Whether the provider wants a person to verify a voice that is made from it, which makes it unusable.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requires_verification: bool,
}

impl RecordingMetadata {
    /// For a file that was validated just now; without consent.
    #[must_use]
    pub fn new(audio: &Audio, clock: &Clock) -> Self {
        Self {
            hash: sha256_hex(&audio.bytes),
            bytes: i64::try_from(audio.bytes.len()).unwrap_or(i64::MAX),
            // To the millisecond: more is noise.
            duration: (audio.duration.as_secs_f64() * 1000.0).round() / 1000.0,
            mime_type: audio.format.mime_type().to_owned(),
            uploaded_at: clock.now(),
            consent_at: None,
            requires_verification: false,
        }
    }
}

/// A username: 3–32 of letters, digits, `_ . -`.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(pattern = "^[0-9A-Za-z_.-]{3,32}$", example = "ada")]
pub struct Username(String);

impl Username {
    /// The unique form: usernames are compared without case.
    #[must_use]
    pub fn key(&self) -> String {
        login_key(&self.0)
    }
}

impl TryFrom<String> for Username {
    type Error = ValidationError;

    fn try_from(name: String) -> Result<Self, ValidationError> {
        let name = trim_blanks(&name);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if (3..=32).contains(&name.len()) && name.chars().all(allowed) {
            Ok(Self(name.to_owned()))
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

/// An email address, checked for its syntax (RFC 5321 and 5322), in Unicode NFC: keyboards differ in the form that they
/// type.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(format = "email", example = "ada@example.com")]
pub struct Email(String);

impl Email {
    /// The unique form: addresses are compared without case.
    #[must_use]
    pub fn key(&self) -> String {
        login_key(&self.0)
    }
}

impl TryFrom<String> for Email {
    type Error = ValidationError;

    fn try_from(email: String) -> Result<Self, ValidationError> {
        let email: String = trim_blanks(&email).nfc().collect();
        let options = email_address::Options::default()
            .with_required_tld()
            .without_domain_literal()
            .without_display_text();
        match EmailAddress::parse_with_options(&email, options) {
            Ok(_) => Ok(Self(email)),
            Err(_) => Err(ValidationError("must be an email address")),
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
