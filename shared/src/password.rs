//! Passwords: what one may be, and bcrypt off the async threads.

use std::fmt;

use deserr::Deserr;
use mongodb::bson::Bson;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::{
    env::{Env, EnvError},
    error::{Error, FieldError},
    validation::ValidationError,
};

/// bcrypt reads no more bytes than this; longer passwords are refused, never cut. (`bcrypt::non_truncating_hash`
/// refuses this many as well, because no room is left for the zero at their end; bcrypt itself does not need it.)
const MAX_BYTES: usize = 72;
/// The least number of characters.
const MIN_CHARS: usize = 8;

/// A password that a user chooses: 8 characters or more, at most 72 bytes of UTF-8, none that everybody would guess.
/// It does not print.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(value_type = String, format = Password, min_length = 8, max_length = 72, example = "correct horse battery staple")]
pub struct NewPassword(SecretString);

impl TryFrom<String> for NewPassword {
    type Error = ValidationError;

    fn try_from(password: String) -> Result<Self, ValidationError> {
        if password.chars().count() < MIN_CHARS {
            return Err(ValidationError("must have at least 8 characters"));
        }
        if password.len() > MAX_BYTES {
            return Err(ValidationError("must have at most 72 bytes in UTF-8"));
        }
        if password.contains('\0') {
            return Err(ValidationError("must not contain a null character"));
        }
        Ok(Self(password.into()))
    }
}

/// A password that somebody claims is theirs: of any form. It does not print.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(from(String) = Self::from)]
#[schema(value_type = String, format = Password, example = "correct horse battery staple")]
pub struct PasswordInput(SecretString);

impl From<String> for PasswordInput {
    fn from(password: String) -> Self {
        Self(password.into())
    }
}

/// A bcrypt hash, in the form in which it is stored: a BSON string, or the binary that the earlier backend wrote.
/// It does not print.
#[derive(Clone)]
pub struct PasswordHash {
    text: String,
    stored: Bson,
}

impl PasswordHash {
    /// As stored, for filters that ask whether it is still the same.
    #[must_use]
    pub fn stored(&self) -> &Bson {
        &self.stored
    }

    fn new(text: String) -> Self {
        Self { stored: Bson::String(text.clone()), text }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(…)")
    }
}

impl Serialize for PasswordHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Bson::deserialize(deserializer)?;
        let text = match &stored {
            Bson::String(text) => Some(text.clone()),
            Bson::Binary(binary) => String::from_utf8(binary.bytes.clone()).ok(),
            _ => None,
        };
        let text = text.ok_or_else(|| serde::de::Error::custom("a password hash is not text"))?;
        Ok(Self { text, stored })
    }
}

/// What a new password is for: tells which member to complain about, and which words everybody would guess first.
pub struct PasswordContext<'a> {
    /// The member of the request that holds the password.
    pub field: &'static str,
    /// The user's own words: name, address.
    pub user_inputs: &'a [&'a str],
}

/// Hashes and checks passwords at the configured cost.
#[derive(Clone, Debug)]
pub struct Passwords {
    cost: u32,
}

impl Passwords {
    /// Reads `BCRYPT_COST` (4–31, default 12: about 300 ms).
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let cost = env.parse_or("BCRYPT_COST", 12)?;
        if (4..=31).contains(&cost) {
            Ok(Self { cost })
        } else {
            Err(EnvError::Malformed { name: "BCRYPT_COST", expected: "a number from 4 to 31" })
        }
    }

    /// The hash to store. Refuses, as NIST SP 800-63B asks (section 3.1.1.2), what is on the lists of common
    /// passwords or made of the user's own words; there are no rules of composition.
    pub async fn hash(
        &self,
        password: NewPassword,
        context: &PasswordContext<'_>,
    ) -> Result<PasswordHash, Error> {
        let words: Vec<String> = context
            .user_inputs
            .iter()
            .chain(&["newvisions", "new visions"])
            .map(ToString::to_string)
            .collect();
        let cost = self.cost;
        let hashed = run_blocking(move || {
            let password = password.0.expose_secret();
            if is_common(password, &words) {
                return None;
            }
            // Nothing is cut: a `NewPassword` has at most 72 bytes. The non-truncating hash refuses exactly 72.
            Some(bcrypt::hash(password, cost))
        });
        match hashed.await? {
            None => Err(Error::Invalid(vec![FieldError {
                field: context.field.to_owned(),
                message: String::from(
                    "is too common or too easy to guess: choose another one, such as a few words",
                ),
            }])),
            Some(Ok(hash)) => Ok(PasswordHash::new(hash)),
            Some(Err(error)) => Err(Error::internal(format!("bcrypt refused to hash: {error}"))),
        }
    }

    /// Whether the password is the one behind the hash. Without a hash (an unknown user) it takes the same
    /// time and is never right.
    pub async fn verify(&self, password: &PasswordInput, hash: Option<&PasswordHash>) -> Result<bool, Error> {
        let known = hash.is_some();
        let hash = hash.map_or_else(|| self.dummy_hash(), |hash| hash.text.clone());
        let password = password.clone();
        let matches = run_blocking(move || {
            let password = password.0.expose_secret().as_bytes();
            // A longer one would match the hash of its first 72 bytes; it is measured all the same, so that
            // its length does not show in the time.
            let right = bcrypt::verify(&password[..password.len().min(MAX_BYTES)], &hash);
            // Nor may one hold a zero, where bcrypt begins again from the front: `p\0p` would match as `p` does.
            right.unwrap_or(false) && password.len() <= MAX_BYTES && !password.contains(&0)
        })
        .await?;
        Ok(known && matches)
    }

    /// A hash of today's cost for a password that was just found right, if the stored one is cheaper.
    pub async fn rehash_if_needed(
        &self,
        password: &PasswordInput,
        hash: &PasswordHash,
    ) -> Result<Option<PasswordHash>, Error> {
        let cost = self.cost;
        if hash.text.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() >= cost) {
            return Ok(None);
        }
        let password = password.clone();
        let hashed = run_blocking(move || bcrypt::hash(password.0.expose_secret(), cost)).await?;
        Ok(hashed.ok().map(PasswordHash::new))
    }

    /// A well-formed hash of the configured cost that belongs to no password anybody knows. Well-formed to the
    /// last bit, or checking it would take no time at all.
    fn dummy_hash(&self) -> String {
        format!("$2b${:02}$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz0123u", self.cost)
    }
}

/// Whether fewer than a million guesses would find it: the scores 0 and 1 of
/// <https://github.com/dropbox/zxcvbn#readme>.
fn is_common(password: &str, words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    zxcvbn::zxcvbn(password, &words).score() < zxcvbn::Score::Two
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::internal("password work panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_hash_is_one_that_bcrypt_takes_its_time_for() {
        let hash = Passwords { cost: 4 }.dummy_hash();
        assert!(matches!(bcrypt::verify("any password", &hash), Ok(false)), "{hash}");
    }
}
