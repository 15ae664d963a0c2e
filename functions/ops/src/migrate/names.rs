//! Whose username and address are unique without case: what sign-ins look for.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Bson, Document, doc},
};
use shared::users::login_key;

/// How many accounts claim each key, by the key's field.
pub struct Names(HashMap<(&'static str, String), u32>);

/// A key's field, and the field that it is made of.
pub const FIELDS: [(&str, &str); 2] = [("username_key", "username"), ("email_key", "email")];

impl Names {
    /// Reads every account's names: a few dozen bytes each.
    pub async fn read(users: &Collection<Document>) -> Result<Self, mongodb::error::Error> {
        let wanted = doc! { "username": 1, "username_key": 1, "email": 1, "email_key": 1 };
        let mut accounts = users.find(doc! {}).projection(wanted).await?;
        let mut claims = HashMap::new();
        while let Some(account) = accounts.try_next().await? {
            for (field, source) in FIELDS {
                let key = account.get_str(field).ok().map(str::to_owned).or_else(|| key(account.get(source)));
                if let Some(key) = key {
                    *claims.entry((field, key)).or_default() += 1;
                }
            }
        }
        Ok(Self(claims))
    }

    /// When every key has turned out to be taken.
    pub fn all_taken() -> Self {
        Self(HashMap::new())
    }

    /// Whether one account alone claims a key.
    pub fn is_unique(&self, field: &'static str, key: &str) -> bool {
        self.0.get(&(field, key.to_owned())) == Some(&1)
    }
}

/// The key of a stored name; `None` for what is no name.
pub fn key(name: Option<&Bson>) -> Option<String> {
    let key = login_key(name?.as_str()?);
    (!key.is_empty()).then_some(key)
}
