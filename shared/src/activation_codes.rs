//! The collection `activation_codes`: the issued codes, and the accounts that they registered.
//!
//! The unique index on `users.activation_code` decides who gets a code: the account that is stored owns it. The mark here
//! follows, and keeps a code used after its account was deleted.

use deserr::Deserr;
use mongodb::{
    Collection, Database,
    bson::{DateTime, doc, oid::ObjectId},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Clock,
    error::Error,
    validation::{ValidationError, trim_blanks},
};

pub const CODE_LENGTH: usize = 11;

/// 11 letters or digits. Case-sensitive.
#[derive(Clone, Debug, Deserr, PartialEq, Eq, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(pattern = "^[0-9A-Za-z]{11}$", example = "PUT11CODE42")]
pub struct ActivationCode(String);

/// No 0, 1, I or O: people read codes aloud and copy them from paper.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

impl ActivationCode {
    /// 55 random bits, as a code with at least one letter and one digit.
    pub fn random() -> Result<Self, Error> {
        loop {
            let mut random = [0; CODE_LENGTH];
            aws_lc_rs::rand::fill(&mut random).map_err(|_| Error::internal("system RNG failed"))?;
            // 256 is a multiple of 32, so every character is equally likely.
            let code: String =
                random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
            if code.contains(|c: char| c.is_ascii_digit()) && code.contains(|c: char| c.is_ascii_uppercase())
            {
                return Ok(Self(code));
            }
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ActivationCode {
    type Error = ValidationError;

    fn try_from(code: String) -> Result<Self, ValidationError> {
        let code = trim_blanks(&code);
        if code.len() == CODE_LENGTH && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self(code.to_owned()))
        } else {
            Err(ValidationError("must have exactly 11 letters and digits"))
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct ActivationCodes {
    collection: Collection<Issued>,
    clock: Clock,
}

/// One issued code, as stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct Issued {
    #[serde(rename = "_id")]
    pub code: String,
    /// When it was issued; missing in older documents.
    #[serde(default)]
    pub created_at: Option<DateTime>,
    /// The account that was registered with it.
    #[serde(default)]
    pub used_by: Option<ObjectId>,
    /// Without `used_by`: a code of the earlier backend that is used and does not say for whom.
    #[serde(default)]
    pub used_at: Option<DateTime>,
}

impl Issued {
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.used_by.is_some() || self.used_at.is_some()
    }
}

impl ActivationCodes {
    #[must_use]
    pub fn new(database: &Database, clock: Clock) -> Self {
        Self { collection: database.collection("activation_codes"), clock }
    }

    /// `None` if the code was never issued.
    pub async fn find(&self, code: &ActivationCode) -> Result<Option<Issued>, Error> {
        Ok(self.collection.find_one(doc! { "_id": code.as_str() }).await?)
    }

    /// Marks a code as used by an account. Idempotent: the first account stays.
    pub async fn mark_used(&self, code: &str, user_id: ObjectId) -> Result<(), Error> {
        self.collection
            .update_one(
                doc! { "_id": code, "used_by": null },
                doc! { "$set": { "used_by": user_id, "used_at": self.clock.now() } },
            )
            .await?;
        Ok(())
    }

    /// Stores new codes. Fails if one was issued before, which 55 random bits make very unlikely.
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
