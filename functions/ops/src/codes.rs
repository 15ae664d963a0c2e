//! `cargo ops codes COUNT`: fresh activation codes.

use std::io::Write;

use shared::activation_codes::{ActivationCode, ActivationCodes};

use crate::{Deployment, Failure, Go, nothing_was_done};

/// Makes the codes, and prints them only once they are stored: a printed code works.
pub async fn make(deployment: &Deployment, count: u16, go: Go, out: &mut dyn Write) -> Result<(), Failure> {
    if !go.yes {
        writeln!(out, "Would make {count} activation codes.")?;
        return nothing_was_done(out);
    }
    let codes = (0..count).map(|_| ActivationCode::random()).collect::<Result<Vec<_>, _>>()?;
    ActivationCodes::new(&deployment.database, deployment.clock.clone()).issue(&codes).await?;
    for code in &codes {
        writeln!(out, "{}", code.as_str())?;
    }
    Ok(())
}
