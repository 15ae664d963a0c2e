//! `cargo ops codes COUNT`: issues activation codes.

use std::io::Write;

use shared::activation_codes::{ActivationCode, ActivationCodes};

use crate::{Confirm, Deployment, Failure, print_dry_run_hint};

/// Prints the codes only after they are stored, so that every printed code works.
pub async fn issue(
    deployment: &Deployment,
    count: u16,
    confirm: Confirm,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    deployment.require_migrated().await?;
    if !confirm.yes {
        writeln!(out, "Would issue {count} activation codes.")?;
        return print_dry_run_hint(out);
    }
    let codes = (0..count).map(|_| ActivationCode::random()).collect::<Result<Vec<_>, _>>()?;
    ActivationCodes::new(&deployment.database, deployment.clock.clone()).issue(&codes).await?;
    for code in &codes {
        writeln!(out, "{}", code.as_str())?;
    }
    Ok(())
}
