//! `cargo ops indexes`: creates the missing indexes. Sweeps do so too; this is for a deployment before its first.

use std::io::Write;

use mongodb::Database;
use shared::mongo;

use crate::{Confirm, Deployment, Failure, print_dry_run_hint};

pub async fn create(deployment: &Deployment, confirm: Confirm, out: &mut dyn Write) -> Result<(), Failure> {
    let missing = mongo::missing_indexes(&deployment.database).await?;
    if missing.is_empty() {
        writeln!(out, "All indexes exist.")?;
        return Ok(());
    }
    if !confirm.yes {
        writeln!(out, "Would create {}.", missing.join(", "))?;
        return print_dry_run_hint(out);
    }
    ensure(&deployment.database).await?;
    writeln!(out, "Created {}.", missing.join(", "))?;
    Ok(())
}

/// Creates the missing indexes, or says why they cannot be created.
pub async fn ensure(database: &Database) -> Result<(), Failure> {
    let missing = mongo::missing_indexes(database).await?;
    match mongo::ensure_indexes(database).await {
        Err(error) if mongo::is_duplicate(&error) => Err(Failure::Other(format!(
            "One of {} cannot be created, because two accounts have the same value.",
            missing.join(", ")
        ))),
        other => Ok(other?),
    }
}
