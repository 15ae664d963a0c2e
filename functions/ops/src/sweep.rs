//! `cargo ops sweep`: runs the scheduled sweep now.

use std::{io::Write, time::Duration};

use shared::deadline::Deadline;

use crate::{Confirm, Deployment, Failure, print_dry_run_hint};

/// Longer than the scheduled sweep has: an operator can wait.
const TIMEOUT: Duration = Duration::from_mins(10);

pub async fn sweep(deployment: &Deployment, confirm: Confirm, out: &mut dyn Write) -> Result<(), Failure> {
    let sweeper = deployment.sweeper()?;
    let deadline = Deadline::after(TIMEOUT);
    if confirm.yes {
        let report = sweeper.sweep(deadline).await?;
        sweeper.sweep_history(deadline).await?;
        writeln!(out, "voices deleted          {}", report.swept)?;
        writeln!(out, "voices not deletable    {}", report.failed)?;
        writeln!(out, "voices of live performs {} (left alone)", report.live_skipped)?;
        writeln!(
            out,
            "voices of others        {} (of this stage's name; left alone)",
            report.foreign_skipped
        )?;
        writeln!(out, "slots and users freed   {}", report.released)?;
        writeln!(out, "slots still held        {}", report.slots_held)?;
        if report.failed > 0 {
            return Err(Failure::Other(String::from(
                "Not every voice could be deleted: their slots stay held. Sweep again when ElevenLabs answers.",
            )));
        }
        if report.list_failed {
            return Err(Failure::Other(String::from(
                "ElevenLabs did not list its voices: only what the database knows is cleaned up. Sweep again.",
            )));
        }
        return Ok(());
    }
    let plan = sweeper.plan(deadline).await?.into_whole()?;
    let (_, expired) = deployment.users().count_leases().await?;
    for (voice_id, lease_id) in &plan.to_delete {
        writeln!(out, "Would delete voice {voice_id} of perform {lease_id}.")?;
    }
    writeln!(
        out,
        "Would delete {} voices, free {} slots and {expired} users, and leave alone {} voices of live performs \
         and {} voices of others.",
        plan.to_delete.len(),
        plan.held.expired.len(),
        plan.live_voices,
        plan.foreign.len()
    )?;
    print_dry_run_hint(out)
}
