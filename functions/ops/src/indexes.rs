//! `cargo ops indexes`: what every sweep does too, for a deployment that has not been swept yet.

use std::io::Write;

use shared::mongo;

use crate::{Deployment, Failure, Go, nothing_was_done};

/// Makes the missing indexes.
pub async fn make(deployment: &Deployment, go: Go, out: &mut dyn Write) -> Result<(), Failure> {
    let missing = mongo::missing_indexes(&deployment.database).await?;
    if missing.is_empty() {
        writeln!(out, "Every index is there.")?;
        return Ok(());
    }
    if !go.yes {
        writeln!(out, "Would make {}.", missing.join(", "))?;
        return nothing_was_done(out);
    }
    match mongo::ensure_indexes(&deployment.database).await {
        Ok(()) => writeln!(out, "Made {}.", missing.join(", "))?,
        Err(error) if mongo::is_duplicate(&error) => {
            return Err(Failure::Because(format!(
                "Of {} one must be unique and is not: two accounts have the same value.",
                missing.join(", ")
            )));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
