//! `cargo ops status`: the provider's quotas, the voices, the slots in use and the running performs. Read-only.

use std::{io::Write, time::Duration};

use mongodb::bson::Document;
use shared::{
    clock::rfc3339,
    clone_slots::HeldSlot,
    deadline::Deadline,
    elevenlabs::{ElevenLabsError, Subscription},
    error::Error,
    migration,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{Deployment, Failure};

const TIMEOUT: Duration = Duration::from_secs(30);

pub async fn print(deployment: &Deployment, out: &mut dyn Write) -> Result<(), Failure> {
    print_database(deployment, out).await?;
    let sweeper = deployment.sweeper()?;
    let deadline = Deadline::after(TIMEOUT);
    let unavailable = |error: ElevenLabsError| Failure::from(Error::ProviderUnavailable(error));
    print_account(&sweeper.elevenlabs.subscription(deadline).await.map_err(unavailable)?, out)?;

    let plan = sweeper.plan(deadline).await?.into_whole()?;
    let (live, expired) = (&plan.held.live, &plan.held.expired);
    writeln!(
        out,
        "voices       {} of live performs, {} to be swept, {} of others",
        plan.live_voices,
        plan.to_delete.len(),
        plan.foreign.len()
    )?;
    let limit: u32 = deployment.env.parse_or("CLONE_SLOTS", 10)?;
    writeln!(out, "slots        {} of {limit} in use", live.len() + expired.len())?;
    for slot in live {
        writeln!(out, "  {}, runs until {}", describe(slot), rfc3339(slot.expires_at))?;
    }
    for slot in expired {
        let why = if slot.orphaned { "its voice was not deleted" } else { "its perform died" };
        writeln!(out, "  {}, {why}; the sweep will free it", describe(slot))?;
    }
    let (running, expired_leases) = deployment.users().count_leases().await?;
    writeln!(out, "leases       {running} running, {expired_leases} expired (the sweep will free them)")?;
    Ok(())
}

async fn print_database(deployment: &Deployment, out: &mut dyn Write) -> Result<(), Failure> {
    let count = async |collection: &str, filter: Document| {
        deployment.database.collection::<Document>(collection).count_documents(filter).await
    };
    let accounts = count("users", migration::unmigrated_users()).await?;
    let codes = count("activation_codes", migration::unmigrated_codes()).await?;
    if accounts + codes == 0 {
        writeln!(out, "database     in the current form")?;
    } else {
        writeln!(
            out,
            "database     in the earlier backend's form: {accounts} accounts and {codes} activation codes cannot be \
             used until `cargo ops migrate` has run"
        )?;
    }
    Ok(())
}

fn print_account(account: &Subscription, out: &mut dyn Write) -> Result<(), Failure> {
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

fn describe(slot: &HeldSlot) -> String {
    let voice = slot.voice_id.as_deref().unwrap_or("not known yet");
    format!("perform {} of user {}, voice {voice}", slot.lease_id, slot.user_id)
}
