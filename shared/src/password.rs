//! Passwords: what one may be, and bcrypt off the async threads.

use std::fmt;

use mongodb::bson::Bson;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    env::{Env, EnvError},
    error::Error,
    json::Reason,
};

/// bcrypt reads no more bytes than this; longer passwords are refused, never cut.
const MOST_BYTES: usize = 72;
/// The least number of characters.
const LEAST_CHARS: usize = 8;

/// A password that a user chooses. It does not print.
#[derive(Debug, deserr::Deserr)]
#[deserr(try_from(String) = Self::try_from -> Reason)]
pub struct NewPassword(SecretString);

impl TryFrom<String> for NewPassword {
    type Error = Reason;

    fn try_from(password: String) -> Result<Self, Reason> {
        if password.chars().count() < LEAST_CHARS {
            return Err(Reason("must have at least 8 characters"));
        }
        if password.len() > MOST_BYTES {
            return Err(Reason("must have at most 72 bytes in UTF-8"));
        }
        if password.contains('\0') {
            return Err(Reason("must not contain a null character"));
        }
        Ok(Self(password.into()))
    }
}

/// A password that somebody claims is theirs: of any form. It does not print.
#[derive(Debug, deserr::Deserr)]
#[deserr(from(String) = Self::from)]
pub struct ClaimedPassword(SecretString);

impl From<String> for ClaimedPassword {
    fn from(password: String) -> Self {
        Self(password.into())
    }
}

/// A bcrypt hash, as stored: a BSON string, or the binary that the earlier backend wrote. It does not print.
#[derive(Clone)]
pub struct PasswordHash(String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(…)")
    }
}

impl Serialize for PasswordHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Bson::deserialize(deserializer)? {
            Bson::String(text) => Some(text),
            Bson::Binary(binary) => String::from_utf8(binary.bytes).ok(),
            _ => None,
        };
        text.map(Self).ok_or_else(|| serde::de::Error::custom("a password hash is not text"))
    }
}

/// Hashes and checks passwords at the configured cost.
#[derive(Clone, Debug)]
pub struct Passwords {
    cost: u32,
}

impl Passwords {
    /// Reads `BCRYPT_COST` (4–31, default 12: about 300 ms).
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let cost = env.parsed("BCRYPT_COST", 12)?;
        if (4..=31).contains(&cost) {
            Ok(Self { cost })
        } else {
            Err(EnvError::Malformed { name: "BCRYPT_COST", expected: "a number from 4 to 31" })
        }
    }

    /// The hash to store.
    pub async fn hash(&self, password: NewPassword) -> Result<PasswordHash, Error> {
        let cost = self.cost;
        off_thread(move || bcrypt::non_truncating_hash(password.0.expose_secret(), cost))
            .await?
            .map(PasswordHash)
            .map_err(|error| Error::internal(format!("bcrypt refused to hash: {error}")))
    }

    /// Whether the password is the one behind the hash. Without a hash (an unknown user) it takes the same
    /// time and is never right.
    pub async fn verify(&self, password: ClaimedPassword, hash: Option<PasswordHash>) -> Result<bool, Error> {
        let known = hash.is_some();
        let PasswordHash(hash) = hash.unwrap_or_else(|| self.nobodys());
        let matches = off_thread(move || {
            let password = password.0.expose_secret();
            // A longer one would match the hash of its first 72 bytes; it is measured all the same, so that
            // its length does not show in the time.
            let right = bcrypt::verify(password.get(..MOST_BYTES).unwrap_or(password), &hash);
            right.unwrap_or(false) && password.len() <= MOST_BYTES
        })
        .await?;
        Ok(known && matches)
    }

    /// A well-formed hash of the configured cost that belongs to no password anybody knows.
    fn nobodys(&self) -> PasswordHash {
        PasswordHash(format!("$2b${:02}$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz01234", self.cost))
    }
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::internal("password work panicked"))
}
