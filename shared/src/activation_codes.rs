//! The collection `activation_codes`: which codes were issued, and which have made an account.
//!
//! The claim on a code is the unique index on `users.activation_code`: the account that is stored has it. The
//! mark kept here follows; it makes a code stay used when its account is deleted.

use deserr::Deserr;
use mongodb::{
    Collection, Database,
    bson::{DateTime, doc, oid::ObjectId},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{clock::Clock, error::Error, validation::ValidationError};

/// Letters and digits of a code.
pub const CODE_LENGTH: usize = 11;

/// An activation code: 11 letters or digits. Upper and lower case are different codes.
#[derive(Clone, Debug, Deserr, PartialEq, Eq, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(pattern = "^[0-9A-Za-z]{11}$", example = "PUT11CODE42")]
pub struct ActivationCode(String);

/// No 0, 1, I or O: people read codes aloud and copy them from paper.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

impl ActivationCode {
    /// A fresh code from the system's random source: 55 bits, with at least one letter and one digit.
    pub fn random() -> Result<Self, Error> {
        loop {
            let mut random = [0; CODE_LENGTH];
            aws_lc_rs::rand::fill(&mut random)
                .map_err(|_| Error::internal("the system gave no random bytes"))?;
            // 256 is a multiple of 32, so every character is equally likely.
            let code: String =
                random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
            if code.contains(|c: char| c.is_ascii_digit()) && code.contains(|c: char| c.is_ascii_uppercase())
            {
                return Ok(Self(code));
            }
        }
    }

    /// The code's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ActivationCode {
    type Error = ValidationError;

    fn try_from(code: String) -> Result<Self, ValidationError> {
        let code = code.trim();
        if code.len() == CODE_LENGTH && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self(code.to_owned()))
        } else {
            Err(ValidationError("must have exactly 11 letters and digits"))
        }
    }
}

/// The issued codes. Cloning it is cheap.
#[derive(Clone)]
pub struct ActivationCodes {
    collection: Collection<Issued>,
    clock: Clock,
}

/// One issued code, as stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct Issued {
    /// The code itself.
    #[serde(rename = "_id")]
    pub code: String,
    /// When it was issued; older documents do not say.
    #[serde(default)]
    pub created_at: Option<DateTime>,
    /// The account that it made.
    #[serde(default)]
    pub used_by: Option<ObjectId>,
    /// When it made the account.
    #[serde(default)]
    pub used_at: Option<DateTime>,
}

impl ActivationCodes {
    /// The store in `database`.
    #[must_use]
    pub fn new(database: &Database, clock: Clock) -> Self {
        Self { collection: database.collection("activation_codes"), clock }
    }

    /// What is known of a code; `None` if it was never issued.
    pub async fn find(&self, code: &ActivationCode) -> Result<Option<Issued>, Error> {
        Ok(self.collection.find_one(doc! { "_id": code.as_str() }).await?)
    }

    /// Marks a code as used by an account. Marking it again changes nothing.
    pub async fn mark_used(&self, code: &str, user_id: ObjectId) -> Result<(), Error> {
        self.collection
            .update_one(
                doc! { "_id": code, "used_by": null },
                doc! { "$set": { "used_by": user_id, "used_at": self.clock.now() } },
            )
            .await?;
        Ok(())
    }

    /// Stores fresh codes. A code that was issued before fails the call; 55 random bits make that unheard of.
    pub async fn issue(&self, codes: &[ActivationCode]) -> Result<(), Error> {
        let now = self.clock.now();
        let issued = codes.iter().map(|code| Issued {
            code: code.as_str().to_owned(),
            created_at: Some(now),
            used_by: None,
            used_at: None,
        });
        self.collection.insert_many(issued).await?;
        Ok(())
    }
}
