//! What can go wrong with a call of each kind, and how it is ordered from the stand-in.

use std::time::Duration;

use http::Method;
use tests::fakes::{
    faults::{Fault, Met, Operation},
    mongodb_wire::Fault as WireFault,
    s3::Fault as S3Fault,
};

use super::{
    call::{Call, Kind},
    world::World,
};

/// One thing that goes wrong with a call.
#[derive(Clone, Debug)]
pub struct FaultSpec {
    pub name: &'static str,
    fault: AnyFault,
    /// How many calls of the kind meet it, from the one in question on.
    times: usize,
    /// What is done in the moment in which the fault is met.
    pub then: Then,
    /// How long the effect may take to come after the answer.
    pub lingers: Duration,
    /// Whether the short run has it: what is quick and what is most likely to find something.
    pub short: bool,
}

/// What is done in the moment in which a fault is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Nothing,
    /// SIGKILL, as the platform does it and as a machine that is lost.
    Kill,
    /// The database is gone until the invocation has ended.
    DatabaseDown,
    /// The user deletes the account.
    DeleteAccount,
}

#[derive(Clone, Debug)]
enum AnyFault {
    Http(Fault),
    Wire(WireFault),
    S3(S3Fault),
}

const ALWAYS: usize = usize::MAX;

impl FaultSpec {
    fn new(name: &'static str, fault: AnyFault) -> Self {
        Self { name, fault, times: 1, then: Then::Nothing, lingers: Duration::ZERO, short: false }
    }

    fn http(name: &'static str, fault: Fault) -> Self {
        Self::new(name, AnyFault::Http(fault))
    }

    fn wire(name: &'static str, fault: WireFault) -> Self {
        Self::new(name, AnyFault::Wire(fault))
    }

    fn s3(name: &'static str, fault: S3Fault) -> Self {
        Self::new(name, AnyFault::S3(fault))
    }

    fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    fn lingers(self, lingers: Duration) -> Self {
        Self { lingers, ..self }
    }

    fn short(self) -> Self {
        Self { short: true, ..self }
    }

    /// Orders it for a call.
    pub fn order(&self, world: &World, call: &Call) {
        let before = call.nth - 1;
        match (&call.kind, &self.fault) {
            (Kind::MongoDb { command, collection }, AnyFault::Wire(fault)) => {
                let (name, collection) = (Some(command.as_str()), Some(collection.as_str()));
                world.wire().fault(before, name, collection, WireFault::Pass);
                world.wire().fault(self.times, name, collection, fault.clone());
            }
            (Kind::S3(method), AnyFault::S3(fault)) => {
                world.s3().fault(before, method.clone(), S3Fault::Pass);
                world.s3().fault(self.times, method.clone(), *fault);
            }
            (Kind::Gemini, AnyFault::Http(fault)) => {
                let faults = world.gemini().faults();
                faults.next_n(Operation::Generate, before, &Fault::Pass);
                self.order_http(faults, Operation::Generate, fault);
            }
            (Kind::ElevenLabs(operation), AnyFault::Http(fault)) => {
                let faults = world.elevenlabs().faults();
                faults.next_n(*operation, before, &Fault::Pass);
                self.order_http(faults, *operation, fault);
            }
            (_, fault) => unreachable!("{fault:?} is not for {call}"),
        }
    }

    fn order_http(&self, faults: &tests::fakes::faults::Faults, operation: Operation, fault: &Fault) {
        if self.times == ALWAYS {
            faults.always(operation, fault.clone());
        } else {
            faults.next_n(operation, self.times, fault);
        }
    }
}

/// Where it is told that a fault of this kind of call is met.
pub fn met<'a>(world: &'a World, call: &Call) -> &'a Met {
    match call.kind {
        Kind::MongoDb { .. } => world.wire().met(),
        Kind::S3(_) => world.s3().met(),
        Kind::Gemini => world.gemini().faults().met(),
        Kind::ElevenLabs(_) => world.elevenlabs().faults().met(),
    }
}

/// Everything that can go wrong with a call.
pub fn of(call: &Call) -> Vec<FaultSpec> {
    match &call.kind {
        Kind::MongoDb { .. } => mongodb(),
        Kind::S3(method) => s3(method),
        Kind::Gemini => gemini(),
        Kind::ElevenLabs(operation) => elevenlabs(*operation),
    }
}

/// The account is deleted while the call is on its way.
pub fn deletion(call: &Call) -> FaultSpec {
    // Longer than a deletion takes, on a busy machine too.
    let slowly = Duration::from_millis(1500);
    let trouble = match call.kind {
        Kind::MongoDb { .. } => FaultSpec::wire("account deleted", WireFault::Delay(slowly)),
        Kind::S3(_) => FaultSpec::s3("account deleted", S3Fault::Delay(slowly)),
        Kind::Gemini | Kind::ElevenLabs(_) => {
            FaultSpec::http("account deleted", Fault::DelayBeforeEffect(slowly))
        }
    };
    trouble.then(Then::DeleteAccount)
}

fn mongodb() -> Vec<FaultSpec> {
    let refuse = |code| WireFault::Refuse { code, message: String::from("ordered") };
    // AtlasError, which no driver repeats; PrimarySteppedDown, which every driver repeats once.
    let (refused, stepped_down) = (refuse(8000), refuse(189));
    let wire = FaultSpec::wire;
    vec![
        wire("refused", refused.clone()).short(),
        wire("refused always", refused).times(ALWAYS),
        wire("stepped down", stepped_down.clone()),
        wire("stepped down twice", stepped_down).times(2),
        wire("cut before", WireFault::CutBefore),
        wire("cut before, twice", WireFault::CutBefore).times(2),
        wire("cut after", WireFault::CutAfter),
        wire("cut after, twice", WireFault::CutAfter).times(2).short(),
        wire("slow", WireFault::Delay(Duration::from_secs(3))),
        wire("silent before", WireFault::HangBefore),
        wire("silent after", WireFault::HangAfter),
        wire("silent always", WireFault::HangBefore).times(ALWAYS),
        wire("down from here", WireFault::HangBefore).then(Then::DatabaseDown),
        wire("SIGKILL before", WireFault::HangBefore).then(Then::Kill).short(),
        wire("SIGKILL after", WireFault::HangAfter).then(Then::Kill).short(),
    ]
}

fn s3(method: &Method) -> Vec<FaultSpec> {
    let s3 = FaultSpec::s3;
    let mut troubles = vec![
        s3("slow down", S3Fault::SlowDown),
        s3("slow down always", S3Fault::SlowDown).times(ALWAYS).short(),
        s3("access denied", S3Fault::AccessDenied),
        s3("reset before", S3Fault::Reset),
        s3("reset before, always", S3Fault::Reset).times(ALWAYS),
        s3("timeout before", S3Fault::Hang),
        s3("timeout before, always", S3Fault::Hang).times(ALWAYS),
        s3("SIGKILL before", S3Fault::Hang).then(Then::Kill).short(),
        s3("SIGKILL after", S3Fault::HangAfter).then(Then::Kill).short(),
    ];
    if method == Method::GET {
        troubles.push(s3("truncated", S3Fault::Truncate));
        troubles.push(s3("truncated always", S3Fault::Truncate).times(ALWAYS));
    } else {
        troubles.push(s3("reset after", S3Fault::LoseAnswer));
        troubles.push(s3("reset after, always", S3Fault::LoseAnswer).times(ALWAYS));
        troubles.push(s3("timeout after", S3Fault::HangAfter));
    }
    troubles
}

fn gemini() -> Vec<FaultSpec> {
    let http = FaultSpec::http;
    let mut troubles = vec![
        http("refused", Fault::gemini_invalid_key()).short(),
        http("blocked", Fault::blocked_answer()),
        http("429", Fault::resource_exhausted_with_retry_info()),
        http("500", Fault::gemini_internal()),
    ];
    troubles.extend(transport());
    troubles
}

fn elevenlabs(operation: Operation) -> Vec<FaultSpec> {
    let http = FaultSpec::http;
    let (refused, busy, broken) =
        (Fault::invalid_api_key(), Fault::too_many_concurrent_requests(), Fault::internal_server_error());
    let mut troubles = vec![
        http("refused", refused.clone()).short(),
        http("429", busy.clone()),
        http("500", broken.clone()),
    ];
    troubles.extend(transport());
    match operation {
        Operation::Create => troubles.extend([
            http("slots full", Fault::voice_limit_reached()),
            http("creations spent", Fault::voice_add_edit_limit_reached()),
            http("bad sample", Fault::invalid_audio()),
            // Later than the caller waits.
            http("late effect", Fault::DelayBeforeEffect(Duration::from_secs(12)))
                .lingers(Duration::from_secs(3)),
        ]),
        Operation::Synthesize => troubles.extend([
            http("text refused", Fault::text_too_long()),
            http("voice unknown", Fault::voice_not_found()),
            http("endless drip", Fault::SlowDrip(Duration::from_mins(1))),
        ]),
        Operation::Delete => troubles.extend([
            http("refused always", refused).times(ALWAYS).short(),
            http("429 always", busy).times(ALWAYS),
            http("500 always", broken).times(ALWAYS),
            http("timeout before, always", Fault::TimeoutBeforeEffect).times(ALWAYS),
            http("timeout after, always", Fault::TimeoutAfterEffect).times(ALWAYS),
            http("reset before, always", Fault::ResetBeforeEffect).times(ALWAYS),
            http("reset after, always", Fault::ResetAfterEffect).times(ALWAYS),
        ]),
        Operation::List => troubles.extend([
            http("500 always", broken).times(ALWAYS),
            http("timeout before, always", Fault::TimeoutBeforeEffect).times(ALWAYS),
        ]),
        _ => {}
    }
    troubles
}

/// What can happen to any HTTP call.
fn transport() -> [FaultSpec; 10] {
    let http = FaultSpec::http;
    [
        http("HTML 503", Fault::html_503()),
        http("timeout before", Fault::TimeoutBeforeEffect),
        http("timeout after", Fault::TimeoutAfterEffect),
        http("late answer", Fault::DelayAfterEffect(Duration::from_secs(2))),
        http("reset before", Fault::ResetBeforeEffect),
        http("reset after", Fault::ResetAfterEffect).short(),
        http("truncated", Fault::TruncatedBody).short(),
        http("slow drip", Fault::SlowDrip(Duration::from_secs(2))),
        http("SIGKILL before", Fault::TimeoutBeforeEffect).then(Then::Kill).short(),
        http("SIGKILL after", Fault::TimeoutAfterEffect).then(Then::Kill).short(),
    ]
}
