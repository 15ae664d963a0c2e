//! Passwords: the rules for new ones, and bcrypt off the async threads.

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

/// bcrypt's limit; longer passwords are rejected, not truncated. (`bcrypt::non_truncating_hash` rejects exactly this many
/// too, for lack of room for a terminating zero, which bcrypt does not need.)
const MAX_BYTES: usize = 72;
const MIN_CHARS: usize = 8;

/// A password that a user chooses: at least 8 characters, at most 72 bytes in UTF-8, not easy to guess.
// `SecretString`: it is not printed, and zeroed when dropped.
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

/// A password to check.
// Of any form: accounts of the earlier backend have passwords that would not be accepted today.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(from(String) = Self::from)]
#[schema(value_type = String, format = Password, example = "correct horse battery staple")]
pub struct PasswordInput(SecretString);

impl From<String> for PasswordInput {
    fn from(password: String) -> Self {
        Self(password.into())
    }
}

/// A bcrypt hash as stored: a BSON string, or the binary that the earlier backend wrote. Its `Debug` hides it.
#[derive(Clone)]
pub struct PasswordHash {
    text: String,
    stored: Bson,
}

impl PasswordHash {
    /// The stored value, for a filter that compares it.
    #[must_use]
    pub fn stored(&self) -> &Bson {
        &self.stored
    }

    /// Whether bcrypt can compare a password with it.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.text.parse::<bcrypt::HashParts>().is_ok()
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

/// Where a new password comes from, for the check of its strength.
pub struct PasswordContext<'a> {
    /// The member of the request, for the error.
    pub field: &'static str,
    /// The username and email address, which a guess would try first.
    pub user_inputs: &'a [&'a str],
}

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

    /// Hashes a new password. Rejects common ones and those derived from the context, as NIST SP 800-63B demands (section
    /// 3.1.1.2); there are no composition rules.
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
            // Does not truncate: a `NewPassword` has at most 72 bytes.
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
            Some(Err(error)) => Err(Error::internal(format!("bcrypt failed: {error}"))),
        }
    }

    /// Whether the password matches the hash. Without a hash (an unknown user) it takes the same time and is false.
    pub async fn verify(&self, password: &PasswordInput, hash: Option<&PasswordHash>) -> Result<bool, Error> {
        let has_hash = hash.is_some();
        let hash = hash.map_or_else(|| self.dummy_hash(), |hash| hash.text.clone());
        let password = password.clone();
        let matches = run_blocking(move || {
            let password = password.0.expose_secret().as_bytes();
            // A longer password would match the hash of its first 72 bytes. It is verified all the same, so that the time
            // does not reveal its length.
            let is_match = bcrypt::verify(&password[..password.len().min(MAX_BYTES)], &hash);
            // bcrypt repeats the password after a zero byte, so `p\0p` would match the hash of `p`.
            is_match.unwrap_or(false) && password.len() <= MAX_BYTES && !password.contains(&0)
        })
        .await?;
        Ok(has_hash && matches)
    }

    /// A hash at the configured cost, if the stored one has a lower cost. For a password that was just verified.
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

    /// The hash to verify for an unknown user. It must parse, or verification returns early and its time reveals that the
    /// user is unknown.
    fn dummy_hash(&self) -> String {
        format!("$2b${:02}$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz0123u", self.cost)
    }
}

/// Whether fewer than a million guesses would find the password: the scores 0 and 1 of
/// <https://github.com/dropbox/zxcvbn#readme>.
fn is_common(password: &str, words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    zxcvbn::zxcvbn(password, &words).score() < zxcvbn::Score::Two
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::internal("bcrypt task panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dummy_hash_is_well_formed_for_bcrypt() {
        let hash = Passwords { cost: 4 }.dummy_hash();
        assert!(matches!(bcrypt::verify("any password", &hash), Ok(false)), "{hash}");
    }
}
