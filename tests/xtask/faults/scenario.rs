//! What runs while something goes wrong: an invocation, and what was before it.

use std::fmt;

use serde_json::json;
use tests::fakes::faults::{Fault, Operation};

use super::{
    answer::Answer,
    call::{Call, Kind},
    world::{PerformRequest, World},
};

/// One kind of invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// A perform in the user's own voice.
    Perform,
    /// A perform whose voice was made, but the answer that says so was lost.
    LostCreate,
    /// A perform of a user whose last one was killed while its voice lived: it sweeps first.
    AfterCrash,
    /// A perform in the stock voice: no clone.
    StockVoice,
    /// Two takes by one voice, with the fan under them.
    Takes,
    /// The same request once more, after a success.
    Repeat,
    /// The scheduled sweep, after a perform was killed while its voice lived.
    Sweep,
}

/// Every one of them.
pub const ALL: [Scenario; 7] = [
    Scenario::Perform,
    Scenario::LostCreate,
    Scenario::AfterCrash,
    Scenario::StockVoice,
    Scenario::Takes,
    Scenario::Repeat,
    Scenario::Sweep,
];

impl Scenario {
    /// The request that is made, and later repeated, with a key that no other has.
    pub fn wish(self, key: String) -> PerformRequest {
        let mut body = PerformRequest::routine();
        if self == Self::StockVoice {
            body["voice"] = json!("default");
        }
        if self == Self::Takes {
            body = json!({
                "takes": [body, { "text": "I just woke up, and there was a card." }],
                "settings_override": { "background_sound": true },
            });
        }
        PerformRequest { body, key: Some(key) }
    }

    /// Whether a fault in this call tells something that another scenario does not.
    pub fn is_about(self, call: &Call) -> bool {
        match self {
            Self::LostCreate => {
                matches!(call.kind, Kind::ElevenLabs(operation) if operation != Operation::Create)
            }
            // What else it does, one take does too.
            Self::Takes => {
                matches!(
                    &call.kind,
                    Kind::ElevenLabs(Operation::Synthesize | Operation::Delete) | Kind::S3(_)
                )
            }
            _ => true,
        }
    }

    /// Brings about what was before.
    pub async fn prepare(self, world: &World, wish: &PerformRequest) -> Result<(), String> {
        world.heal();
        match self {
            Self::Perform | Self::StockVoice | Self::Takes | Self::LostCreate => {}
            Self::AfterCrash | Self::Sweep => crash(world).await?,
            Self::Repeat => {
                let first = Answer::read(world.perform(&world.ada, wish).await);
                if !first.is_audio() {
                    return Err(format!("A perform without a fault gave: {first}"));
                }
            }
        }
        world.heal();
        if self == Self::LostCreate {
            world.elevenlabs().faults().next(Operation::Create, Fault::ResetAfterEffect);
        }
        Ok(())
    }

    /// Runs the invocation.
    pub async fn act(self, world: &World, wish: &PerformRequest) -> Answer {
        if self == Self::Sweep {
            return Answer::of_sweep(world.sweep().await);
        }
        Answer::read(world.perform(&world.ada, wish).await)
    }

    /// Kills whoever runs.
    pub async fn kill(self, world: &World) {
        let running = if self == Self::Sweep { &world.sweep } else { &world.perform };
        running.kill().await;
    }
}

/// A perform that is killed while its voice lives, and whose leases have run out since.
async fn crash(world: &World) -> Result<(), String> {
    let faults = world.elevenlabs().faults();
    faults.next(Operation::Create, Fault::TimeoutAfterEffect);
    let wish = PerformRequest { body: PerformRequest::routine(), key: None };
    tokio::select! {
        answer = world.perform(&world.ada, &wish) => {
            return Err(format!("A perform that was to be killed answered: {}", Answer::read(answer)));
        }
        () = faults.met().wait() => world.perform.kill().await,
    }
    world.run_out_leases().await
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Perform => "perform",
            Self::LostCreate => "perform, its create's answer lost",
            Self::AfterCrash => "perform after a crash",
            Self::StockVoice => "perform in the stock voice",
            Self::Takes => "perform of two takes",
            Self::Repeat => "repeated perform",
            Self::Sweep => "sweep",
        })
    }
}
