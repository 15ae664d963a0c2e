//! What is to change in one account's document. Pure, but for the one write.

use mongodb::{
    Collection,
    bson::{
        Bson, DateTime, Document, deserialize_from_bson, deserialize_from_document, doc, oid::ObjectId,
        serialize_to_document,
    },
};
use shared::{mongo, settings::Settings, users::User};

use super::names::{self, FIELDS, Names};

/// Members of the earlier backend's settings, each with a modern equal that [`Settings`] reads out of it.
const EARLIER_SETTINGS: [&str; 5] = ["language", "stability", "similarity", "add_background_sound", "sex"];

/// The changes of one account.
#[derive(Debug, Default)]
pub struct Changes {
    set: Document,
    /// What was read, and must still be so.
    was: Document,
    /// A clone of which nothing is known any more.
    pub stale_clone: Option<String>,
    /// What a person has to decide.
    pub left: Vec<String>,
}

impl Changes {
    /// What this account needs.
    pub fn of(account: &Document, names: &Names) -> Self {
        let mut changes = Self::default();
        changes.names(account, names);
        changes.creation(account);
        changes.settings(account);
        changes.clone_id(account);
        changes.readable(account);
        changes
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Writes, if the account still is as it was read; tells whether it was.
    pub async fn apply(
        &self,
        users: &Collection<Document>,
        id: ObjectId,
    ) -> Result<bool, mongodb::error::Error> {
        let mut filter = self.was.clone();
        filter.insert("_id", id);
        match users.update_one(filter, doc! { "$set": self.set.clone() }).await {
            Ok(updated) => Ok(updated.matched_count > 0),
            // Somebody took the name meanwhile.
            Err(error) if mongo::is_duplicate(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn change(&mut self, account: &Document, field: &str, value: impl Into<Bson>) {
        let was = account.get(field).cloned().unwrap_or_else(|| doc! { "$exists": false }.into());
        self.was.insert(field, was);
        self.set.insert(field, value);
    }

    fn names(&mut self, account: &Document, names: &Names) {
        for (field, source) in FIELDS {
            if account.get_str(field).is_ok() {
                continue;
            }
            match names::key(account.get(source)) {
                Some(key) if names.is_unique(field, &key) => self.change(account, field, key),
                Some(_) => self.left.push(format!("another account has the same {source} but for its case")),
                None => self.left.push(format!("it has no {source}")),
            }
        }
    }

    /// An `ObjectId` says when it was made.
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
        // Reading settings refuses nothing.
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

    /// Today an account has a clone under a lease alone.
    fn clone_id(&mut self, account: &Document) {
        let leased = account.get("lease").is_some_and(|lease| lease.as_null().is_none());
        if let (false, Ok(voice_id)) = (leased, account.get_str("voice_clone_id")) {
            self.stale_clone = Some(voice_id.to_owned());
            self.change(account, "voice_clone_id", Bson::Null);
            self.was.insert("lease", Bson::Null);
        }
    }

    /// Whether the functions will be able to read it.
    fn readable(&mut self, account: &Document) {
        let mut changed = account.clone();
        changed.extend(self.set.clone());
        if deserialize_from_document::<User>(changed.clone()).is_err() {
            let required = ["username", "email", "password_hash"];
            let missing: Vec<&str> =
                required.into_iter().filter(|&member| changed.get(member).is_none()).collect();
            self.left.push(match missing.as_slice() {
                [] => String::from("one of its members is of a form that cannot be read"),
                missing => format!("nobody can sign in to it without {}", missing.join(", ")),
            });
        }
    }
}
