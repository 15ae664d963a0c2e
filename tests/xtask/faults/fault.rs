//! The faults of each kind of call, and how they are injected.

use std::time::Duration;

use http::Method;
use tests::fakes::{
    faults::{Fault, FaultSignal, Operation},
    mongodb_wire::Fault as WireFault,
    s3::Fault as S3Fault,
};

use super::{
    call::{Call, Kind},
    deployment::Deployment,
};

/// One fault of a call.
#[derive(Clone, Debug)]
pub struct FaultSpec {
    pub name: &'static str,
    fault: AnyFault,
    /// How many calls of the kind fail, from the one in question on.
    times: usize,
    pub on_fault: OnFault,
    /// How long after the response the effect may come.
    pub late_effect: Duration,
    /// Whether the short run has it: what is quick and what is most likely to find something.
    pub short: bool,
}

/// What is done when the fault is triggered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFault {
    Nothing,
    /// SIGKILL, as when the platform kills the process or a machine is lost.
    Kill,
    /// The database is down until the invocation has ended.
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
        Self { name, fault, times: 1, on_fault: OnFault::Nothing, late_effect: Duration::ZERO, short: false }
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

    fn on_fault(self, on_fault: OnFault) -> Self {
        Self { on_fault, ..self }
    }

    fn late_effect(self, late_effect: Duration) -> Self {
        Self { late_effect, ..self }
    }

    fn short(self) -> Self {
        Self { short: true, ..self }
    }

    /// Injects the fault into a call.
    pub fn inject(&self, deployment: &Deployment, call: &Call) {
        let before = call.nth - 1;
        match (&call.kind, &self.fault) {
            (Kind::MongoDb { command, collection }, AnyFault::Wire(fault)) => {
                let (name, collection) = (Some(command.as_str()), Some(collection.as_str()));
                deployment.wire().inject(before, name, collection, WireFault::Pass);
                deployment.wire().inject(self.times, name, collection, fault.clone());
            }
            (Kind::S3(method), AnyFault::S3(fault)) => {
                deployment.s3().inject(before, method.clone(), S3Fault::Pass);
                deployment.s3().inject(self.times, method.clone(), *fault);
            }
            (Kind::Gemini, AnyFault::Http(fault)) => {
                let faults = deployment.gemini().faults();
                faults.next_n(Operation::Generate, before, &Fault::Pass);
                self.inject_http(faults, Operation::Generate, fault);
            }
            (Kind::ElevenLabs(operation), AnyFault::Http(fault)) => {
                let faults = deployment.elevenlabs().faults();
                faults.next_n(*operation, before, &Fault::Pass);
                self.inject_http(faults, *operation, fault);
            }
            (_, fault) => unreachable!("{fault:?} is not for {call}"),
        }
    }

    fn inject_http(&self, faults: &tests::fakes::faults::Faults, operation: Operation, fault: &Fault) {
        if self.times == ALWAYS {
            faults.always(operation, fault.clone());
        } else {
            faults.next_n(operation, self.times, fault);
        }
    }
}

/// The signal that a fault in this kind of call was triggered.
pub fn signal<'a>(deployment: &'a Deployment, call: &Call) -> &'a FaultSignal {
    match call.kind {
        Kind::MongoDb { .. } => deployment.wire().triggered(),
        Kind::S3(_) => deployment.s3().triggered(),
        Kind::Gemini => deployment.gemini().faults().triggered(),
        Kind::ElevenLabs(_) => deployment.elevenlabs().faults().triggered(),
    }
}

/// Every fault of a call.
pub fn for_call(call: &Call) -> Vec<FaultSpec> {
    match &call.kind {
        Kind::MongoDb { .. } => mongodb(),
        Kind::S3(method) => s3(method),
        Kind::Gemini => gemini(),
        Kind::ElevenLabs(operation) => elevenlabs(*operation),
    }
}

/// The account is deleted during the call.
pub fn deletion(call: &Call) -> FaultSpec {
    // Longer than a deletion takes, even on a busy machine.
    let slowly = Duration::from_millis(1500);
    let fault = match call.kind {
        Kind::MongoDb { .. } => FaultSpec::wire("account deleted", WireFault::Delay(slowly)),
        Kind::S3(_) => FaultSpec::s3("account deleted", S3Fault::Delay(slowly)),
        Kind::Gemini | Kind::ElevenLabs(_) => {
            FaultSpec::http("account deleted", Fault::DelayBeforeEffect(slowly))
        }
    };
    fault.on_fault(OnFault::DeleteAccount)
}

fn mongodb() -> Vec<FaultSpec> {
    let refuse = |code| WireFault::Refuse { code, message: String::from("injected") };
    // AtlasError, which drivers do not retry; PrimarySteppedDown, which they retry once.
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
        wire("down from here", WireFault::HangBefore).on_fault(OnFault::DatabaseDown),
        wire("SIGKILL before", WireFault::HangBefore).on_fault(OnFault::Kill).short(),
        wire("SIGKILL after", WireFault::HangAfter).on_fault(OnFault::Kill).short(),
    ]
}

fn s3(method: &Method) -> Vec<FaultSpec> {
    let s3 = FaultSpec::s3;
    let mut faults = vec![
        s3("slow down", S3Fault::SlowDown),
        s3("slow down always", S3Fault::SlowDown).times(ALWAYS).short(),
        s3("access denied", S3Fault::AccessDenied),
        s3("reset before", S3Fault::ResetBefore),
        s3("reset before, always", S3Fault::ResetBefore).times(ALWAYS),
        s3("timeout before", S3Fault::HangBefore),
        s3("timeout before, always", S3Fault::HangBefore).times(ALWAYS),
        s3("SIGKILL before", S3Fault::HangBefore).on_fault(OnFault::Kill).short(),
        s3("SIGKILL after", S3Fault::HangAfter).on_fault(OnFault::Kill).short(),
    ];
    if method == Method::GET {
        faults.push(s3("truncated", S3Fault::Truncate));
        faults.push(s3("truncated always", S3Fault::Truncate).times(ALWAYS));
    } else {
        faults.push(s3("reset after", S3Fault::ResetAfter));
        faults.push(s3("reset after, always", S3Fault::ResetAfter).times(ALWAYS));
        faults.push(s3("timeout after", S3Fault::HangAfter));
    }
    faults
}

fn gemini() -> Vec<FaultSpec> {
    let http = FaultSpec::http;
    let mut faults = vec![
        http("refused", Fault::gemini_invalid_key()).short(),
        http("blocked", Fault::blocked_response()),
        http("429", Fault::resource_exhausted_with_retry_info()),
        http("500", Fault::gemini_internal()),
    ];
    faults.extend(transport());
    faults
}

fn elevenlabs(operation: Operation) -> Vec<FaultSpec> {
    let http = FaultSpec::http;
    let (refused, busy, broken) =
        (Fault::invalid_api_key(), Fault::too_many_concurrent_requests(), Fault::internal_server_error());
    let mut faults = vec![
        http("refused", refused.clone()).short(),
        http("429", busy.clone()),
        http("500", broken.clone()),
    ];
    faults.extend(transport());
    match operation {
        Operation::Create => faults.extend([
            http("slots full", Fault::voice_limit_reached()),
            http("creations spent", Fault::voice_add_edit_limit_reached()),
            http("bad sample", Fault::invalid_audio()),
            // Later than the caller waits.
            http("late effect", Fault::DelayBeforeEffect(Duration::from_secs(12)))
                .late_effect(Duration::from_secs(3)),
        ]),
        Operation::Synthesize => faults.extend([
            http("text refused", Fault::text_too_long()),
            http("voice unknown", Fault::voice_not_found()),
            http("endless drip", Fault::SlowDrip(Duration::from_mins(1))),
        ]),
        Operation::Delete => faults.extend([
            http("refused always", refused).times(ALWAYS).short(),
            http("429 always", busy).times(ALWAYS),
            http("500 always", broken).times(ALWAYS),
            http("timeout before, always", Fault::TimeoutBeforeEffect).times(ALWAYS),
            http("timeout after, always", Fault::TimeoutAfterEffect).times(ALWAYS),
            http("reset before, always", Fault::ResetBeforeEffect).times(ALWAYS),
            http("reset after, always", Fault::ResetAfterEffect).times(ALWAYS),
        ]),
        Operation::List => faults.extend([
            http("500 always", broken).times(ALWAYS),
            http("timeout before, always", Fault::TimeoutBeforeEffect).times(ALWAYS),
        ]),
        _ => {}
    }
    faults
}

/// Faults of any HTTP call.
fn transport() -> [FaultSpec; 10] {
    let http = FaultSpec::http;
    [
        http("HTML 503", Fault::html_503()),
        http("timeout before", Fault::TimeoutBeforeEffect),
        http("timeout after", Fault::TimeoutAfterEffect),
        http("late response", Fault::DelayAfterEffect(Duration::from_secs(2))),
        http("reset before", Fault::ResetBeforeEffect),
        http("reset after", Fault::ResetAfterEffect).short(),
        http("truncated", Fault::TruncatedBody).short(),
        http("slow drip", Fault::SlowDrip(Duration::from_secs(2))),
        http("SIGKILL before", Fault::TimeoutBeforeEffect).on_fault(OnFault::Kill).short(),
        http("SIGKILL after", Fault::TimeoutAfterEffect).on_fault(OnFault::Kill).short(),
    ]
}
