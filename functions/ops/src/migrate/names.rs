//! Which usernames and email addresses are unique without case; logins look them up so.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Bson, Document, doc},
};

/// How many accounts have each key, by the key's field.
pub struct Names(HashMap<(&'static str, String), u32>);

/// A key's field, and the field that it is derived from.
pub const FIELDS: [(&str, &str); 2] = [("username_key", "username"), ("email_key", "email")];

impl Names {
    /// Reads the names of all accounts: a few dozen bytes each.
    pub async fn read(users: &Collection<Document>) -> Result<Self, mongodb::error::Error> {
        let wanted = doc! { "username": 1, "username_key": 1, "email": 1, "email_key": 1 };
        let mut accounts = users.find(doc! {}).projection(wanted).await?;
        let mut counts = HashMap::new();
        while let Some(account) = accounts.try_next().await? {
            for (field, source) in FIELDS {
                let key = account.get_str(field).ok().map(str::to_owned).or_else(|| key(account.get(source)));
                if let Some(key) = key {
                    *counts.entry((field, key)).or_default() += 1;
                }
            }
        }
        Ok(Self(counts))
    }

    /// Whether exactly one account has the key.
    pub fn is_unique(&self, field: &'static str, key: &str) -> bool {
        self.0.get(&(field, key.to_owned())) == Some(&1)
    }
}

/// The key of a stored name, derived as logins do; `None` if it is not a name.
pub fn key(name: Option<&Bson>) -> Option<String> {
    let key = name?.as_str()?.trim().to_lowercase();
    (!key.is_empty()).then_some(key)
}
