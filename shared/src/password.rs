//! Passwords: what one may be, and bcrypt off the async threads.
//!
//! Keyboards differ in the Unicode form of what they type, so passwords are hashed and compared in NFC. Hashes that an
//! earlier backend made of another form are found by that form, and replaced at the next sign-in.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use deserr::Deserr;
use mongodb::bson::Bson;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization as _;
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
        let password: String = password.nfc().collect();
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
        self.cost().is_some()
    }

    /// `None` if it is no bcrypt hash.
    fn cost(&self) -> Option<u32> {
        self.text.parse::<bcrypt::HashParts>().ok().map(|parts| parts.get_cost())
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

/// The Unicode form in which a right password matched its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchedForm {
    Nfc,
    /// As it was typed, or in NFD: the hash is an earlier backend's.
    Other,
}

/// Hashes and checks passwords at the configured cost.
#[derive(Clone, Debug)]
pub struct Passwords {
    cost: u32,
    /// The highest cost of the hashes that were checked so far, and of new ones.
    highest_cost: Arc<AtomicU32>,
}

impl Passwords {
    /// Reads `BCRYPT_COST` (4–31, default 12: about 300 ms).
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let cost = env.parse_or("BCRYPT_COST", 12)?;
        if (4..=31).contains(&cost) {
            Ok(Self { cost, highest_cost: Arc::new(AtomicU32::new(cost)) })
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

    /// Whether the password is the one behind the hash, and in which form. Without a hash (an unknown user) it is never
    /// right, and a refusal takes the same time whether there is a hash or not and whatever the hash's cost is.
    pub async fn verify(
        &self,
        password: &PasswordInput,
        hash: Option<&PasswordHash>,
    ) -> Result<Option<MatchedForm>, Error> {
        let cost = hash.and_then(PasswordHash::cost);
        let highest = self.highest_cost.fetch_max(cost.unwrap_or(self.cost), Ordering::Relaxed);
        let highest = highest.max(cost.unwrap_or(self.cost));
        // Nothing but bcrypt's own form reaches it, or a refusal would take no time.
        let hash = hash.filter(|_| cost.is_some()).map(|hash| hash.text.clone());
        let password = password.clone();
        run_blocking(move || {
            let forms = forms(password.0.expose_secret());
            let Some(hash) = hash else {
                spend(&forms, highest);
                return None;
            };
            let matched = forms.iter().position(|form| matches(form, &hash));
            if matched.is_none() {
                // Each step of the cost doubles the work: these add up to what is missing to the highest.
                for cost in cost.unwrap_or(highest)..highest {
                    spend(&forms, cost);
                }
            }
            matched.map(|at| if at == 0 { MatchedForm::Nfc } else { MatchedForm::Other })
        })
        .await
    }

    /// A hash of today's cost and form for a password that was just found right, if the stored one is another.
    pub async fn rehash_if_needed(
        &self,
        password: &PasswordInput,
        hash: &PasswordHash,
        matched: MatchedForm,
    ) -> Result<Option<PasswordHash>, Error> {
        let cost = self.cost;
        if matched == MatchedForm::Nfc && hash.cost().is_some_and(|stored| stored >= cost) {
            return Ok(None);
        }
        let password = password.clone();
        let hashed = run_blocking(move || {
            let password: String = password.0.expose_secret().nfc().collect();
            // A few characters are longer in NFC. Such a password keeps its hash, because nothing may be cut.
            (password.len() <= MAX_BYTES).then(|| bcrypt::hash(password, cost))
        });
        Ok(hashed.await?.and_then(Result::ok).map(PasswordHash::new))
    }
}

/// The password in NFC, as it was typed and in NFD, each once.
fn forms(password: &str) -> Vec<String> {
    let mut forms = vec![password.nfc().collect(), password.to_owned(), password.nfd().collect()];
    forms.dedup();
    forms
}

fn matches(password: &str, hash: &str) -> bool {
    let password = password.as_bytes();
    // A longer one would match the hash of its first 72 bytes; it is measured all the same, so that its length does not
    // show in the time.
    let right = bcrypt::verify(&password[..password.len().min(MAX_BYTES)], hash);
    // Nor may one hold a zero, where bcrypt begins again from the front: `p\0p` would match as `p` does.
    right.unwrap_or(false) && password.len() <= MAX_BYTES && !password.contains(&0)
}

/// Takes the time of a check against a hash of this cost.
fn spend(forms: &[String], cost: u32) {
    for form in forms {
        let _ = matches(form, &dummy_hash(cost));
    }
}

/// A well-formed hash that belongs to no password anybody knows. Well-formed to the last bit, or checking it would take
/// no time at all.
fn dummy_hash(cost: u32) -> String {
    format!("$2b${cost:02}$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz0123u")
}

/// Whether fewer than a million guesses would find it: the scores 0 and 1 of
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
    fn nobodys_hash_is_one_that_bcrypt_takes_its_time_for() {
        let hash = dummy_hash(4);
        assert!(matches!(bcrypt::verify("any password", &hash), Ok(false)), "{hash}");
    }

    #[tokio::test]
    async fn password_matches_in_every_unicode_form_and_is_rehashed_in_nfc() {
        let passwords = Passwords { cost: 4, highest_cost: Arc::new(AtomicU32::new(4)) };
        let [nfc, nfd] = ["gr\u{fc}ne W\u{e4}lder", "gru\u{308}ne Wa\u{308}lder"];
        for (hashed, matched) in [(nfc, MatchedForm::Nfc), (nfd, MatchedForm::Other)] {
            let hash = PasswordHash::new(bcrypt::hash(hashed, 4).unwrap());
            for typed in [nfc, nfd] {
                let typed = PasswordInput::from(typed.to_owned());
                assert_eq!(passwords.verify(&typed, Some(&hash)).await.unwrap(), Some(matched));
                let rehashed = passwords.rehash_if_needed(&typed, &hash, matched).await.unwrap();
                assert_eq!(rehashed.is_some(), matched == MatchedForm::Other);
                assert!(rehashed.is_none_or(|new| bcrypt::verify(nfc, &new.text).unwrap()));
            }
            let wrong = PasswordInput::from(String::from("grune Walder"));
            assert_eq!(passwords.verify(&wrong, Some(&hash)).await.unwrap(), None);
        }
        let new = NewPassword::try_from(nfd.to_owned()).unwrap();
        assert_eq!(new.0.expose_secret(), nfc);
    }

    #[tokio::test]
    async fn refusal_takes_the_same_work_whatever_the_cost_of_the_hash() {
        let passwords = Passwords { cost: 5, highest_cost: Arc::new(AtomicU32::new(5)) };
        let wrong = PasswordInput::from(String::from("wrong"));
        for cost in [4, 7, 5] {
            let hash = PasswordHash::new(bcrypt::hash("right", cost).unwrap());
            assert_eq!(passwords.verify(&wrong, Some(&hash)).await.unwrap(), None);
        }
        // The dummy follows the costs in use.
        assert_eq!(passwords.highest_cost.load(Ordering::Relaxed), 7);
    }
}
