//! `cargo ops sweep`: the scheduled sweep, now.

use std::{io::Write, time::Duration};

use shared::deadline::Deadline;

use crate::{Deployment, Failure, Go, nothing_was_done};

/// An operator can wait longer than an invocation.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Sweeps, or says what there is to sweep.
pub async fn sweep(deployment: &Deployment, go: Go, out: &mut dyn Write) -> Result<(), Failure> {
    let sweeper = deployment.sweeper()?;
    let by = Deadline::after(TIMEOUT);
    if go.yes {
        let done = sweeper.sweep(by).await?;
        writeln!(out, "voices deleted          {}", done.swept)?;
        writeln!(out, "voices not deletable    {}", done.failed)?;
        writeln!(out, "voices of live performs {} (left alone)", done.live_skipped)?;
        writeln!(out, "voices of others        {} (left alone)", done.foreign_skipped)?;
        writeln!(out, "slots and users freed   {}", done.released)?;
        writeln!(out, "slots still held        {}", done.slots_held)?;
        if done.failed > 0 {
            return Err(Failure::Because(String::from(
                "Not every voice could be deleted: their slots stay held. Sweep again when ElevenLabs answers.",
            )));
        }
        return Ok(());
    }
    let found = sweeper.plan(by).await?;
    let (_, ran_out) = deployment.users().count_leases().await?;
    for (voice_id, lease_id) in &found.to_delete {
        writeln!(out, "Would delete voice {voice_id} of perform {lease_id}.")?;
    }
    writeln!(
        out,
        "Would delete {} voices, free {} slots and {ran_out} users, and leave alone {} voices of live performs \
         and {} voices of others.",
        found.to_delete.len(),
        found.held.expired.len(),
        found.live_voices,
        found.foreign.len()
    )?;
    nothing_was_done(out)
}
