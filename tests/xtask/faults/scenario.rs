//! The invocations into which faults are injected, and their preconditions.

use std::fmt;

use serde_json::json;
use tests::fakes::faults::{Fault, Operation};

use super::{
    call::{Call, Kind},
    deployment::{Deployment, PerformRequest},
    response::Response,
};

/// One kind of invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// A perform in the user's own voice.
    Perform,
    /// A perform whose voice was created, but the response to that was lost.
    LostCreate,
    /// A perform of a user whose last one was killed while its voice existed: it sweeps first.
    AfterCrash,
    /// A perform in the stock voice: no clone.
    StockVoice,
    /// Two takes by one voice, with ambience.
    Takes,
    /// The same request again, after a success.
    Repeat,
    /// The scheduled sweep, after a perform was killed while its voice existed.
    Sweep,
}

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
    /// The request that is made and later retried, with a unique idempotency key.
    pub fn request(self, key: String) -> PerformRequest {
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

    /// Whether a fault in this call tests something that no other scenario does.
    pub fn covers(self, call: &Call) -> bool {
        match self {
            Self::LostCreate => {
                matches!(call.kind, Kind::ElevenLabs(operation) if operation != Operation::Create)
            }
            // Its other calls are those of a single take.
            Self::Takes => {
                matches!(
                    &call.kind,
                    Kind::ElevenLabs(Operation::Synthesize | Operation::Delete) | Kind::S3(_)
                )
            }
            _ => true,
        }
    }

    /// Establishes the preconditions.
    pub async fn prepare(self, deployment: &Deployment, request: &PerformRequest) -> Result<(), String> {
        deployment.heal();
        match self {
            Self::Perform | Self::StockVoice | Self::Takes | Self::LostCreate => {}
            Self::AfterCrash => crash(deployment).await?,
            Self::Sweep => {
                // The first sweep of a process also looks for documents of the earlier backend.
                deployment
                    .sweep()
                    .await
                    .map_err(|failure| format!("A sweep without faults got: {failure}"))?;
                crash(deployment).await?;
            }
            Self::Repeat => {
                let first = Response::read(deployment.perform(&deployment.ada, request).await);
                if !first.is_audio() {
                    return Err(format!("A perform without faults got: {first}"));
                }
            }
        }
        deployment.heal();
        if self == Self::LostCreate {
            deployment.elevenlabs().faults().next(Operation::Create, Fault::ResetAfterEffect);
        }
        Ok(())
    }

    pub async fn act(self, deployment: &Deployment, request: &PerformRequest) -> Response {
        if self == Self::Sweep {
            return Response::read_sweep(deployment.sweep().await);
        }
        Response::read(deployment.perform(&deployment.ada, request).await)
    }

    /// Kills the running function.
    pub async fn kill(self, deployment: &Deployment) {
        let running = if self == Self::Sweep { &deployment.sweep } else { &deployment.perform };
        running.kill().await;
    }
}

/// A perform that is killed while its voice exists, and whose leases have expired since.
async fn crash(deployment: &Deployment) -> Result<(), String> {
    let faults = deployment.elevenlabs().faults();
    faults.next(Operation::Create, Fault::TimeoutAfterEffect);
    let request = PerformRequest { body: PerformRequest::routine(), key: None };
    tokio::select! {
        response = deployment.perform(&deployment.ada, &request) => {
            return Err(format!("A perform that should have been killed responded: {}", Response::read(response)));
        }
        () = faults.triggered().wait() => deployment.perform.kill().await,
    }
    deployment.expire_leases().await
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Perform => "perform",
            Self::LostCreate => "perform, its create's response lost",
            Self::AfterCrash => "perform after a crash",
            Self::StockVoice => "perform in the stock voice",
            Self::Takes => "perform of two takes",
            Self::Repeat => "repeated perform",
            Self::Sweep => "sweep",
        })
    }
}
