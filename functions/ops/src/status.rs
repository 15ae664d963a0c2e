//! `cargo ops status`: what is left at the provider, and what is held.

use std::{io::Write, time::Duration};

use shared::{
    clock::rfc3339,
    clone_slots::HeldSlot,
    deadline::Deadline,
    elevenlabs::{ElevenLabsError, Subscription},
    error::Error,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{Deployment, Failure};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads and tells; changes nothing.
pub async fn tell(deployment: &Deployment, out: &mut dyn Write) -> Result<(), Failure> {
    let sweeper = deployment.sweeper()?;
    let by = Deadline::after(TIMEOUT);
    let refused = |error: ElevenLabsError| Failure::from(Error::ProviderUnavailable(error));
    account(&sweeper.elevenlabs.subscription(by).await.map_err(refused)?, out)?;

    let found = sweeper.plan(by).await?;
    let (live, expired) = (&found.held.live, &found.held.expired);
    writeln!(
        out,
        "voices       {} of live performs, {} to be swept, {} of others",
        found.live_voices,
        found.to_delete.len(),
        found.foreign.len()
    )?;
    let limit: u32 = deployment.env.parse_or("CLONE_SLOTS", 10)?;
    writeln!(out, "slots        {} of {limit} held", live.len() + expired.len())?;
    for slot in live {
        writeln!(out, "  {}, runs until {}", whose(slot), rfc3339(slot.expires_at))?;
    }
    for slot in expired {
        let why = if slot.orphaned { "its voice was not deleted" } else { "its perform died" };
        writeln!(out, "  {}, {why}; left to the sweep", whose(slot))?;
    }
    let (running, ran_out) = deployment.users().count_leases().await?;
    writeln!(out, "users        {running} perform, {ran_out} to be freed by the sweep")?;
    Ok(())
}

fn account(account: &Subscription, out: &mut dyn Write) -> Result<(), Failure> {
    let number = |value: Option<i64>| value.map_or_else(|| String::from("?"), |value| value.to_string());
    let reset = account
        .next_character_count_reset_unix
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| String::from("an unknown time"));
    writeln!(out, "ElevenLabs   plan {}; resets at {reset}", account.tier)?;
    writeln!(
        out,
        "creations    {} of {} used",
        number(account.voice_add_edit_counter),
        account.max_voice_add_edits.map_or_else(|| String::from("unlimited"), |limit| limit.to_string())
    )?;
    writeln!(
        out,
        "account      {} of {} voices, {} of {} characters",
        number(account.voice_slots_used),
        number(account.voice_limit),
        account.character_count,
        account.character_limit
    )?;
    Ok(())
}

fn whose(slot: &HeldSlot) -> String {
    let voice = slot.voice_id.as_deref().unwrap_or("not known yet");
    format!("perform {} of user {}, voice {voice}", slot.lease_id, slot.user_id)
}
