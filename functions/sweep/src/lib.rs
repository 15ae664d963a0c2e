//! The sweep: finishes what a perform could not.
//!
//! For every slot whose lease ran out, and for every voice at the provider that bears this stage's name and
//! belongs to no held slot: the voice is deleted, then its slot and its user are freed. It may run twice, beside
//! itself and beside performs.
//!
//! The order makes it safe beside running performs. Voices are listed BEFORE the slots are read, and a perform
//! holds its slot before it asks for its voice; so a listed voice whose slot is not held any more belongs to a
//! perform that is over.

use std::{collections::HashSet, time::Duration};

use mongodb::{Database, bson::oid::ObjectId};
use serde::Serialize;
use shared::{
    clock::Clock,
    clone_slots::{CloneSlots, VoiceNames},
    deadline::Deadline,
    elevenlabs::{self, ElevenLabs},
    env::Env,
    error::Error,
    mongo,
    users::Users,
};

/// Less than the function's timeout of 120 s.
const PATIENCE: Duration = Duration::from_secs(100);
/// One deletion.
const DELETION_PATIENCE: Duration = Duration::from_secs(10);

/// What this function touches.
pub struct State {
    database: Database,
    users: Users,
    slots: CloneSlots,
    names: VoiceNames,
    elevenlabs: ElevenLabs,
}

impl State {
    /// Reads the configuration and prepares the clients.
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_runtime::Error> {
        let database = mongo::connect(env).await?;
        Ok(Self {
            users: Users::new(&database, clock.clone()),
            slots: CloneSlots::from_env(env, &database, clock)?,
            names: VoiceNames::from_env(env),
            elevenlabs: ElevenLabs::from_env(env, elevenlabs::http_client()?)?,
            database,
        })
    }
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Voices deleted at the provider.
    pub swept: u64,
    /// Slots and user leases freed.
    pub released: u64,
    /// Voices at the provider that are not this stage's; never touched.
    pub foreign_skipped: u64,
    /// Voices of running performs; not touched.
    pub live_skipped: u64,
    /// Voices that could not be deleted this time; the next sweep tries again.
    pub failed: u64,
}

/// One sweep. Fails only if the provider's list or the database cannot be read: then nothing was touched.
pub async fn sweep(state: &State) -> Result<Swept, Error> {
    let by = Deadline::after(PATIENCE);
    let mut done = Swept::default();
    // Idempotent, and what makes a fresh deployment ready.
    mongo::ensure_indexes(&state.database).await?;

    let voices = state.elevenlabs.cloned_voices("", by).await.map_err(Error::ProviderUnavailable)?;
    let held = state.slots.held().await?;
    let live: HashSet<ObjectId> = held.live.iter().map(|slot| slot.lease_id).collect();

    let mut condemned: HashSet<(String, ObjectId)> = HashSet::new();
    for voice in voices {
        match state.names.lease(&voice.name) {
            None => done.foreign_skipped += 1,
            Some(lease) if live.contains(&lease) => done.live_skipped += 1,
            Some(lease) => _ = condemned.insert((voice.voice_id, lease)),
        }
    }
    // A voice that its perform knew but the list does not show (yet).
    for slot in &held.expired {
        if let Some(voice_id) = &slot.voice_id {
            condemned.insert((voice_id.clone(), slot.lease_id));
        }
    }

    let mut surviving: HashSet<ObjectId> = HashSet::new();
    for (voice_id, lease) in condemned {
        match state.elevenlabs.delete_voice(&voice_id, by.within(DELETION_PATIENCE)).await {
            // Already gone: its perform deleted it and died before it could say so.
            Ok(was_there) => done.swept += u64::from(was_there),
            Err(error) => {
                tracing::warn!(%error, voice_id, lease_id = %lease, "an orphaned voice could not be deleted");
                surviving.insert(lease);
                done.failed += 1;
            }
        }
    }

    for slot in held.expired.iter().filter(|slot| !surviving.contains(&slot.lease_id)) {
        done.released += u64::from(state.slots.free_lease(slot.lease_id).await?);
    }
    // A slot outlives its user's lease by moments; until both ran out, the user's clone may live.
    let still_held: Vec<ObjectId> = surviving.into_iter().chain(live).collect();
    done.released += state.users.release_expired_leases(&still_held).await?;
    tracing::info!(
        swept = done.swept,
        released = done.released,
        foreign_skipped = done.foreign_skipped,
        live_skipped = done.live_skipped,
        failed = done.failed,
        "swept"
    );
    Ok(done)
}
