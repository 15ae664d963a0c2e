//! The changes to one account's document. Pure, except for the one write.

use mongodb::{
    Collection,
    bson::{
        Bson, DateTime, Document, deserialize_from_bson, deserialize_from_document, doc, oid::ObjectId,
        serialize_to_document,
    },
};
use shared::{mongo, settings::Settings, users::User};

use super::names::{self, FIELDS, Names};

/// Members of the earlier backend's settings, each of which [`Settings`] converts to a current one.
const EARLIER_SETTINGS: [&str; 5] = ["language", "stability", "similarity", "add_background_sound", "sex"];

#[derive(Debug, Default)]
pub struct Changes {
    set: Document,
    /// The values that were read; the filter of the update.
    expected: Document,
    /// A clone that no perform owns.
    pub stale_clone: Option<String>,
    /// Why the account needs manual action.
    pub skipped: Vec<String>,
}

impl Changes {
    pub fn new(account: &Document, names: &Names) -> Self {
        let mut changes = Self::default();
        changes.names(account, names);
        changes.creation(account);
        changes.settings(account);
        changes.clone_id(account);
        changes.readable(account);
        changes
    }

    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Updates the account if it is still as it was read; returns whether it was.
    pub async fn apply(
        &self,
        users: &Collection<Document>,
        id: ObjectId,
    ) -> Result<bool, mongodb::error::Error> {
        let mut filter = self.expected.clone();
        filter.insert("_id", id);
        match users.update_one(filter, doc! { "$set": self.set.clone() }).await {
            Ok(updated) => Ok(updated.matched_count > 0),
            // The name was taken meanwhile.
            Err(error) if mongo::is_duplicate(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn change(&mut self, account: &Document, field: &str, value: impl Into<Bson>) {
        let expected = account.get(field).cloned().unwrap_or_else(|| doc! { "$exists": false }.into());
        self.expected.insert(field, expected);
        self.set.insert(field, value);
    }

    fn names(&mut self, account: &Document, names: &Names) {
        for (field, source) in FIELDS {
            if account.get_str(field).is_ok() {
                continue;
            }
            match names::key(account.get(source)) {
                Some(key) if names.is_unique(field, &key) => self.change(account, field, key),
                Some(_) => {
                    self.skipped.push(format!("another account has the same {source} in another case"));
                }
                None => self.skipped.push(format!("it has no {source}")),
            }
        }
    }

    /// Falls back to the time in the `ObjectId`.
    fn creation(&mut self, account: &Document) {
        let at = match account.get("created_at") {
            Some(Bson::DateTime(_)) => return,
            Some(Bson::String(text)) => DateTime::parse_rfc3339_str(text).ok(),
            _ => None,
        };
        let at = at.or_else(|| account.get_object_id("_id").ok().map(|id| id.timestamp()));
        if let Some(at) = at {
            self.change(account, "created_at", at);
        }
    }

    fn settings(&mut self, account: &Document) {
        let Some(stored) = account.get("settings") else { return };
        // Settings accept any stored value, so this does not fail.
        let Ok(read) = deserialize_from_bson::<Settings>(stored.clone()) else { return };
        let Ok(modern) = serialize_to_document(&read) else { return };
        let mut settings = stored.as_document().cloned().unwrap_or_default();
        for earlier in EARLIER_SETTINGS {
            settings.remove(earlier);
        }
        settings.extend(modern);
        if Bson::from(settings.clone()) != *stored {
            self.change(account, "settings", settings);
        }
    }

    /// An account has a clone only while it has a lease.
    fn clone_id(&mut self, account: &Document) {
        let leased = account.get("lease").is_some_and(|lease| lease.as_null().is_none());
        if let (false, Ok(voice_id)) = (leased, account.get_str("voice_clone_id")) {
            self.stale_clone = Some(voice_id.to_owned());
            self.change(account, "voice_clone_id", Bson::Null);
            self.expected.insert("lease", Bson::Null);
        }
    }

    /// Checks that the functions can read the converted account.
    fn readable(&mut self, account: &Document) {
        let mut changed = account.clone();
        changed.extend(self.set.clone());
        if deserialize_from_document::<User>(changed.clone()).is_err() {
            let required = ["username", "email", "password_hash"];
            let missing: Vec<&str> =
                required.into_iter().filter(|&member| changed.get(member).is_none()).collect();
            self.skipped.push(match missing.as_slice() {
                [] => String::from("one of its members has an unreadable form"),
                missing => format!("nobody can sign in to it without {}", missing.join(", ")),
            });
        }
    }
}
