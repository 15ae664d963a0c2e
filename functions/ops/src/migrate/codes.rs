//! Activation codes: the code becomes the document's `_id`, and the account that used it knows it.
//!
//! First the account, then the new document, and last the old one is deleted: whatever dies in between, the code is
//! known in one of the two forms and never unused in one and used in the other for longer than until the next run.

use futures::TryStreamExt as _;
use mongodb::{
    Collection, Database,
    bson::{Bson, Document, doc, oid::ObjectId},
};
use shared::{activation_codes::ActivationCode, mongo};

use super::report::Report;
use crate::Failure;

pub async fn migrate(database: &Database, batch: i64, report: &mut Report<'_>) -> Result<(), Failure> {
    let migrator =
        Migrator { codes: &database.collection("activation_codes"), users: &database.collection("users") };
    let earlier = doc! { "_id": { "$type": "objectId" } };
    let all = migrator.codes.count_documents(earlier).await?;
    let mut last = ObjectId::from_bytes([0; 12]);
    loop {
        let next = migrator.codes.find(doc! { "_id": { "$gt": last } }).sort(doc! { "_id": 1 }).limit(batch);
        let batch: Vec<Document> = next.await?.try_collect().await?;
        let Some(end) = batch.last().and_then(|code| code.get_object_id("_id").ok()) else { return Ok(()) };
        last = end;
        for document in batch {
            let Ok(id) = document.get_object_id("_id") else { continue };
            report.codes += 1;
            match Earlier::read(id, document) {
                Some(code) => migrator.convert(&code, report).await?,
                None => {
                    report.skipped(format_args!("activation code {id}: it is not 11 letters and digits"))?;
                }
            }
        }
        eprintln!("  {} of {all} activation codes", report.codes);
    }
}

/// A code as the earlier backend stored it.
struct Earlier {
    id: ObjectId,
    code: String,
    is_used: bool,
    used_by: Option<ObjectId>,
    has_reset: bool,
    /// Today's form, without the `_id`.
    modern: Document,
}

impl Earlier {
    /// `None` if it holds no code that anybody could type.
    fn read(id: ObjectId, mut modern: Document) -> Option<Self> {
        let code = ActivationCode::try_from(modern.get_str("code").ok()?.to_owned()).ok()?;
        modern.remove("_id");
        modern.remove("code");
        let used = modern.remove("used");
        let used_by = modern.get_object_id("used_by").ok();
        // The earlier backend goes by `used`.
        let is_used = match used {
            Some(Bson::Boolean(used)) => used || used_by.is_some(),
            _ => ["used_by", "used_at"]
                .iter()
                .any(|member| modern.get(member).is_some_and(|v| *v != Bson::Null)),
        };
        let has_reset = modern.get_bool("used_for_password_reset").unwrap_or(false)
            || modern.get_datetime("password_reset_at").is_ok();
        if !matches!(modern.get("created_at"), Some(Bson::DateTime(_))) {
            set_aside(&mut modern, "created_at");
            modern.insert("created_at", id.timestamp());
        }
        if used_by.is_none() {
            set_aside(&mut modern, "used_by");
        }
        if !is_used || modern.get_datetime("used_at").is_err() {
            set_aside(&mut modern, "used_at");
        }
        if is_used && !modern.contains_key("used_at") {
            // Also says that it is used where nothing says for whom.
            let created_at = modern.get("created_at").cloned();
            modern.insert("used_at", created_at);
        }
        // Reports name it.
        modern.insert("earlier_id", id);
        Some(Self { id, code: code.as_str().to_owned(), is_used, used_by, has_reset, modern })
    }

    /// In words.
    fn how(&self) -> String {
        let reset = if self.has_reset { ", has reset a password" } else { "" };
        match self.used_by {
            Some(account) => format!("used by account {account}{reset}"),
            None if self.is_used => format!("used{reset}"),
            None => format!("unused{reset}"),
        }
    }
}

/// Keeps what is not of today's type under a name of its own.
fn set_aside(document: &mut Document, member: &str) {
    if let Some(odd) = document.remove(member).filter(|value| *value != Bson::Null) {
        document.insert(format!("earlier_{member}"), odd);
    }
}

struct Migrator<'a> {
    codes: &'a Collection<Document>,
    users: &'a Collection<Document>,
}

impl Migrator<'_> {
    async fn convert(&self, earlier: &Earlier, report: &mut Report<'_>) -> Result<(), Failure> {
        let id = earlier.id;
        match earlier.used_by {
            Some(account) => {
                if let Some(why) = self.give_to(account, earlier, report.confirm.yes).await? {
                    report.skipped(format_args!("activation code {id}: {why}"))?;
                }
            }
            None if earlier.is_used => {
                report.skipped(format_args!("activation code {id}: it is used, but not known by whom"))?;
            }
            None => {}
        }
        if report.confirm.yes {
            self.store(earlier).await?;
            self.codes.delete_one(doc! { "_id": id, "code": { "$exists": true } }).await?;
        }
        report.code_converted(id, &earlier.how())
    }

    /// Lets the account reset its password with the code; says why not.
    async fn give_to(
        &self,
        account: ObjectId,
        earlier: &Earlier,
        apply: bool,
    ) -> Result<Option<String>, Failure> {
        let code = earlier.code.as_str();
        if !apply {
            let exists = self.users.find_one(doc! { "_id": account }).projection(doc! { "_id": 1 }).await?;
            let claimed = doc! { "activation_code": code, "_id": { "$ne": account } };
            let claimed = self.users.find_one(claimed).projection(doc! { "_id": 1 }).await?;
            return Ok(match (exists, claimed) {
                (None, _) => Some(gone(account)),
                (_, Some(_)) => Some(claimed_already(account)),
                _ => None,
            });
        }
        let with_code = |member: &str| {
            let field = format!("${member}");
            let several = doc! { "$isArray": &field };
            let one = doc! { "$eq": [{ "$type": &field }, "string"] };
            let known = doc! { "$cond": [several, &field, { "$cond": [one, [&field], []] }] };
            doc! { "$setUnion": [known, [{ "$literal": code }]] }
        };
        let mut set = doc! { "activation_code": with_code("activation_code") };
        if earlier.has_reset {
            set.insert("reset_codes", with_code("reset_codes"));
        }
        match self.users.update_one(doc! { "_id": account }, vec![doc! { "$set": set }]).await {
            Ok(updated) if updated.matched_count > 0 => Ok(None),
            Ok(_) => Ok(Some(gone(account))),
            Err(error) if mongo::is_duplicate(&error) => Ok(Some(claimed_already(account))),
            Err(error) => Err(error.into()),
        }
    }

    /// The document of today's form. If an interrupted run has stored it, only a use since then is missing in it.
    async fn store(&self, earlier: &Earlier) -> Result<(), Failure> {
        let code = earlier.code.as_str();
        let insert = doc! { "$setOnInsert": earlier.modern.clone() };
        let stored = self.codes.update_one(doc! { "_id": code }, insert).upsert(true).await?;
        if stored.matched_count > 0 && earlier.is_used {
            let mut used = Document::new();
            for member in ["used_by", "used_at"] {
                if let Some(value) = earlier.modern.get(member) {
                    used.insert(member, value.clone());
                }
            }
            let unused = doc! { "_id": code, "used_by": null, "used_at": null };
            self.codes.update_one(unused, doc! { "$set": used }).await?;
        }
        Ok(())
    }
}

fn gone(account: ObjectId) -> String {
    format!("account {account}, which used it, is gone")
}

fn claimed_already(account: ObjectId) -> String {
    format!("account {account} used it, and another account too; it resets the other's password")
}
