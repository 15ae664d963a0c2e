//! What a migration says: one line for each document that changes, one for each that needs manual action, progress on
//! standard error, and totals. A dry run prints the same lines as the run after it.

use std::{fmt::Display, io::Write};

use mongodb::bson::oid::ObjectId;

use crate::{Confirm, Failure, print_dry_run_hint};

pub struct Report<'a> {
    pub confirm: Confirm,
    out: &'a mut (dyn Write + Send),
    pub accounts: u64,
    updated: u64,
    pub recordings: u64,
    pub clones: u64,
    pub codes: u64,
    converted: u64,
    skipped: u64,
}

impl<'a> Report<'a> {
    pub fn new(confirm: Confirm, out: &'a mut (dyn Write + Send)) -> Self {
        Self {
            confirm,
            out,
            accounts: 0,
            updated: 0,
            recordings: 0,
            clones: 0,
            codes: 0,
            converted: 0,
            skipped: 0,
        }
    }

    pub fn index_dropped(&mut self, collection: &str, index: &str) -> Result<(), Failure> {
        let what = format!("index {collection}.{index}: dropped, because it refuses today's documents");
        self.line(&what)
    }

    pub fn account_changed(&mut self, id: ObjectId, changes: &[String]) -> Result<(), Failure> {
        self.updated += 1;
        self.line(&format!("account {id}: {}", changes.join("; ")))
    }

    pub fn code_converted(&mut self, id: ObjectId, how: &str) -> Result<(), Failure> {
        self.converted += 1;
        self.line(&format!("activation code {id}: {how}"))
    }

    fn line(&mut self, what: &str) -> Result<(), Failure> {
        let when = if self.confirm.yes { "Changed" } else { "Would change" };
        writeln!(self.out, "{when}: {what}.")?;
        Ok(())
    }

    /// Something that needs manual action.
    pub fn skipped(&mut self, what: impl Display) -> Result<(), Failure> {
        self.skipped += 1;
        writeln!(self.out, "Skipped: {what}.")?;
        Ok(())
    }

    pub fn finish(self, database: &str) -> Result<(), Failure> {
        let Self { confirm, out, .. } = self;
        let would = if confirm.yes { "" } else { "would be " };
        for (what, number) in [
            (String::from("accounts"), self.accounts),
            (format!("{would}updated"), self.updated),
            (format!("recordings {would}moved"), self.recordings),
            (format!("clone ids {would}cleared"), self.clones),
            (String::from("earlier activation codes"), self.codes),
            (format!("codes {would}converted"), self.converted),
            (String::from("needs manual action"), self.skipped),
        ] {
            writeln!(out, "{what:<28}{number}")?;
        }
        if self.accounts == 0 {
            writeln!(
                out,
                "There are no accounts in the database {database}. The earlier backend's is usually voicememos_db: set \
                 MONGODB_DATABASE to it."
            )?;
        }
        if confirm.yes { Ok(()) } else { print_dry_run_hint(out) }
    }
}
