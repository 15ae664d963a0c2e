//! What is to change in one account's document. Pure, but for the one write.

use mongodb::{
    Collection,
    bson::{
        Bson, DateTime, Document, deserialize_from_bson, deserialize_from_document, doc, oid::ObjectId,
        serialize_to_document,
    },
};
use shared::{mongo, password::PasswordHash, settings::stored::StoredSettings, users::User};

use super::{
    Voices,
    names::{self, FIELDS, Names},
};

/// Where foreign voices are noted that are still at the provider, so that they are not forgotten.
const EARLIER_VOICES: &str = "earlier_voice_ids";

/// The changes of one account.
#[derive(Debug, Default)]
pub struct Changes {
    set: Document,
    unset: Document,
    /// What was read, and must still be so.
    expected: Document,
    /// The changes in words.
    pub what: Vec<String>,
    /// Clone ids that are cleared.
    pub clones: u64,
    /// What a person has to decide.
    pub skipped: Vec<String>,
}

/// What became of the changes.
pub enum Applied {
    Yes,
    ChangedMeanwhile,
    /// Another account has taken the username or the address since the names were read.
    NameTaken,
}

impl Changes {
    /// What this account needs.
    pub fn of(account: &Document, names: &Names, voices: &Voices) -> Self {
        let mut changes = Self::default();
        changes.password(account);
        changes.names(account, names);
        changes.creation(account);
        changes.settings(account);
        changes.clone_ids(account, voices);
        changes.readable(account);
        changes
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }

    /// Writes, if the account still is as it was read.
    pub async fn apply(
        &self,
        users: &Collection<Document>,
        id: ObjectId,
    ) -> Result<Applied, mongodb::error::Error> {
        let mut filter = self.expected.clone();
        filter.insert("_id", id);
        let mut update = Document::new();
        for (operator, members) in [("$set", &self.set), ("$unset", &self.unset)] {
            if !members.is_empty() {
                update.insert(operator, members.clone());
            }
        }
        match users.update_one(filter, update).await {
            Ok(updated) if updated.matched_count > 0 => Ok(Applied::Yes),
            Ok(_) => Ok(Applied::ChangedMeanwhile),
            Err(error) if mongo::is_duplicate(&error) => Ok(Applied::NameTaken),
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, account: &Document, member: &str) {
        let was = account.get(member).cloned().unwrap_or_else(|| doc! { "$exists": false }.into());
        self.expected.insert(member, was);
    }

    fn set(&mut self, account: &Document, member: &str, value: impl Into<Bson>) {
        self.read(account, member);
        self.set.insert(member, value);
    }

    fn unset(&mut self, account: &Document, member: &str) {
        self.read(account, member);
        self.unset.insert(member, "");
    }

    /// The hash stays as it is, text or binary; it only moves to where logins read it.
    fn password(&mut self, account: &Document) {
        let is_hash = |value: Option<&Bson>| matches!(value, Some(Bson::String(_) | Bson::Binary(_)));
        let password = account.get("password");
        if let (false, true, Some(hash)) =
            (is_hash(account.get("password_hash")), is_hash(password), password)
        {
            self.set(account, "password_hash", hash.clone());
            self.unset(account, "password");
            self.what.push(String::from("password"));
        }
    }

    fn names(&mut self, account: &Document, names: &Names) {
        for (field, source) in FIELDS {
            if account.get_str(field).is_ok() {
                continue;
            }
            match names::key(account.get(source)) {
                Some(key) if names.is_unique(field, &key) => {
                    self.set(account, field, key);
                    self.what.push(format!("unique {source}"));
                }
                Some(_) => {
                    self.skipped.push(format!("another account has the same {source} but for its case"));
                }
                None => self.skipped.push(format!("it has no {source}")),
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
            self.set(account, "created_at", at);
            self.what.push(String::from("time of creation"));
        }
    }

    /// What today's settings do not hold, and what cannot be read, stays beside them.
    fn settings(&mut self, account: &Document) {
        let Ok(stored) = account.get_document("settings") else { return };
        let read = StoredSettings::read(stored);
        for member in &read.unreadable {
            self.skipped.push(format!("its setting {member} cannot be read, so the default holds"));
        }
        let Ok(modern) = serialize_to_document(&read.settings) else { return };
        let mut changed = Vec::new();
        for (member, value) in &modern {
            // A note's name is personal.
            if stored.get(member) != Some(value) && !member.starts_with("voice_note") {
                changed.push(format!("{member} {value}"));
            }
        }
        let mut settings = stored.clone();
        for member in read.superseded {
            settings.remove(member);
        }
        settings.extend(modern);
        if settings != *stored {
            self.set(account, "settings", settings);
            self.what.push(format!("settings ({})", changed.join(", ")));
        }
    }

    /// Today an account has a clone under a lease alone. The ids of voices that are still at the provider and that no
    /// sweep deletes are kept until somebody has deleted them there.
    fn clone_ids(&mut self, account: &Document, voices: &Voices) {
        let is_leased = account.get("lease").is_some_and(|lease| *lease != Bson::Null);
        let noted: Vec<&str> = account
            .get_array(EARLIER_VOICES)
            .map_or_else(|_| Vec::new(), |ids| ids.iter().filter_map(Bson::as_str).collect());
        let mut remaining: Vec<&str> = noted.clone();
        for member in ["voice_clone_id", "voice_clone_previous_id"] {
            let Some(value) = account.get(member).filter(|value| **value != Bson::Null) else { continue };
            if member == "voice_clone_id" {
                if is_leased {
                    continue;
                }
                self.set(account, member, Bson::Null);
                self.expected.insert("lease", Bson::Null);
            } else {
                self.unset(account, member);
            }
            self.clones += 1;
            self.what.push(format!("{member} {} cleared", value.as_str().unwrap_or("of an odd type")));
            remaining.extend(value.as_str());
        }
        if account.contains_key("voice_clone_provider") {
            self.unset(account, "voice_clone_provider");
            self.what.push(String::from("voice_clone_provider cleared"));
        }
        remaining.retain(|id| voices.get(*id) == Some(&false));
        remaining.dedup();
        for id in &remaining {
            self.skipped.push(format!(
                "its voice {id} is still at ElevenLabs and was not created by this stage; delete it there manually"
            ));
        }
        if remaining.is_empty() && account.contains_key(EARLIER_VOICES) {
            self.unset(account, EARLIER_VOICES);
            self.what.push(String::from("deleted voices forgotten"));
        } else if remaining != noted {
            let ids: Vec<Bson> = remaining.into_iter().map(Bson::from).collect();
            self.set(account, EARLIER_VOICES, ids);
        }
    }

    /// Whether the functions will be able to read it, and its owner to sign in.
    fn readable(&mut self, account: &Document) {
        let mut changed = account.clone();
        changed.extend(self.set.clone());
        let missing: Vec<&str> =
            [("username", "username"), ("email", "email"), ("password_hash", "password")]
                .into_iter()
                .filter(|(member, _)| changed.get(member).is_none_or(|value| *value == Bson::Null))
                .map(|(_, name)| name)
                .collect();
        let hash = changed.get("password_hash").cloned().map(deserialize_from_bson::<PasswordHash>);
        if !missing.is_empty() {
            self.skipped.push(format!("nobody can sign in to it without {}", missing.join(", ")));
        } else if hash.is_some_and(|hash| !hash.is_ok_and(|hash| hash.is_well_formed())) {
            let remedy = "its owner can reset it with the activation code";
            self.skipped.push(format!("its password is not a bcrypt hash; {remedy}"));
        } else if deserialize_from_document::<User>(changed).is_err() {
            self.skipped.push(String::from("one of its members is of a form that cannot be read"));
        }
    }
}
