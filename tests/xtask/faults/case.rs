//! One case: an invocation, a fault in one of its calls, and what must hold afterwards.
//!
//! Afterwards another user performs, and the client retries the same request. Then the leases expire, and one sweep must
//! clean up everything; then the same request must succeed, if it did not before.

use std::fmt;

use super::{
    call::Call,
    deployment::{CLONE_SLOTS, Deployment, PerformRequest},
    fault::{self, FaultSpec, OnFault},
    response::Response,
    scenario::Scenario,
};

#[derive(Clone, Debug)]
pub struct FaultCase {
    pub scenario: Scenario,
    pub call: Call,
    pub fault: FaultSpec,
}

/// The result of a case.
#[derive(Debug)]
pub struct Outcome {
    pub response: Response,
    /// Whether something was left for the sweep to clean up.
    pub left_to_sweep: bool,
    pub violations: Vec<Violation>,
}

/// Something that must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A voice exists that must not, or the reverse.
    Leaked(String),
    /// A slot or lease is held without a holder, or a request can never succeed.
    Stuck(String),
    /// Characters were charged without audio or twice, or a retried request got something else.
    Mischarged(String),
    /// The client got a response that is not in the contract.
    UnexpectedResponse(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaked(what) => write!(f, "LEAKED: {what}"),
            Self::Stuck(what) => write!(f, "STUCK: {what}"),
            Self::Mischarged(what) => write!(f, "MISCHARGED: {what}"),
            Self::UnexpectedResponse(what) => write!(f, "UNEXPECTED RESPONSE: {what}"),
        }
    }
}

impl FaultCase {
    /// Runs the case. An error means that the test deployment is broken, not the functions.
    pub async fn run(&self, deployment: &mut Deployment, key: String) -> Result<Outcome, String> {
        let request = self.scenario.request(key);
        if self.fault.on_fault == OnFault::DeleteAccount {
            // Earlier cases may have left audio that nothing refers to, until it expires.
            deployment.register_again().await?;
        }
        let before = Charges::read(deployment).await?;
        self.scenario.prepare(deployment, &request).await?;
        self.fault.inject(deployment, &self.call);
        let response = self.act(deployment, &request).await?;
        tokio::time::sleep(self.fault.late_effect).await;
        let triggered = fault::signal(deployment, &self.call).is_set();
        deployment.heal();

        let mut outcome = Outcome::new(response, self.fault.on_fault == OnFault::Kill);
        if !triggered {
            outcome.violations.push(Violation::UnexpectedResponse(String::from("the call never happened")));
        }
        if self.fault.on_fault == OnFault::DeleteAccount {
            after_deletion(deployment, &mut outcome).await?;
        } else {
            let may_be_uncharged = self.call.stores_result() || self.fault.on_fault == OnFault::DatabaseDown;
            aftermath(deployment, &request, &before, may_be_uncharged, &mut outcome).await?;
        }
        Ok(outcome)
    }

    async fn act(&self, deployment: &Deployment, request: &PerformRequest) -> Result<Response, String> {
        let act = self.scenario.act(deployment, request);
        let meanwhile = async {
            fault::signal(deployment, &self.call).wait().await;
            match self.fault.on_fault {
                OnFault::Nothing => {}
                OnFault::Kill => self.scenario.kill(deployment).await,
                OnFault::DatabaseDown => deployment.wire().set_down(true),
                OnFault::DeleteAccount => deployment.delete_account().await?,
            }
            // The response ends the case, not the fault.
            std::future::pending().await
        };
        tokio::select! {
            response = act => Ok(response),
            failed = meanwhile => failed,
        }
    }
}

/// The characters charged to both users.
pub struct Charges {
    ada: i64,
    bob: i64,
}

impl Charges {
    pub async fn read(deployment: &Deployment) -> Result<Self, String> {
        Ok(Self {
            ada: deployment.charged(&deployment.ada).await?,
            bob: deployment.charged(&deployment.bob).await?,
        })
    }
}

impl Outcome {
    /// Checks the response; the process may end only in some cases.
    pub fn new(response: Response, may_be_killed: bool) -> Self {
        let wrong = match &response {
            Response::Violation(what) => Some(what.clone()),
            Response::Killed if !may_be_killed => Some(String::from("the process ended")),
            _ => None,
        };
        Self {
            response,
            left_to_sweep: false,
            violations: wrong.into_iter().map(Violation::UnexpectedResponse).collect(),
        }
    }
}

/// What clients and the sweep do afterwards, and what must hold then. The response may be uncharged if the fault was in
/// storing the result.
pub async fn aftermath(
    deployment: &Deployment,
    request: &PerformRequest,
    before: &Charges,
    may_be_uncharged: bool,
    outcome: &mut Outcome,
) -> Result<(), String> {
    let was_uncharged = may_be_uncharged && Charges::read(deployment).await?.ada == before.ada;
    let mut responses: Vec<Response> = Vec::new();
    if !was_uncharged {
        responses.push(outcome.response.clone());
    }
    let bystander = PerformRequest { body: PerformRequest::routine(), key: None };
    let bob = Response::read(deployment.perform(&deployment.bob, &bystander).await);
    responses.push(Response::read(deployment.perform(&deployment.ada, request).await));
    let busy = [&bob, &responses[responses.len() - 1]].into_iter().any(|response| !response.is_audio());

    deployment.expire_leases().await?;
    match deployment.sweep().await {
        Ok(swept) => {
            let did = |what: &str| swept[what].as_u64().unwrap_or(0) > 0;
            outcome.left_to_sweep = busy || did("swept") || did("released");
            if did("failed") {
                outcome.violations.push(Violation::Leaked(String::from("a sweep could not delete a voice")));
            }
        }
        Err(failure) => outcome.violations.push(Violation::Stuck(format!("a sweep failed: {failure}"))),
    }
    outcome.nothing_remains(deployment).await?;

    let last = Response::read(deployment.perform(&deployment.ada, request).await);
    if !last.is_audio() {
        outcome.violations.push(Violation::Stuck(format!("the retried request got: {last}")));
    }
    responses.push(last);
    for response in responses.iter().rev().take(2).chain([&bob]) {
        if let Response::Violation(what) = response {
            outcome.violations.push(Violation::UnexpectedResponse(format!("afterwards: {what}")));
        }
    }
    outcome.nothing_remains(deployment).await?;
    outcome.check_charges(&responses, &bob, before, &Charges::read(deployment).await?);
    Ok(())
}

/// What must hold after the user has deleted the account during a perform.
async fn after_deletion(deployment: &mut Deployment, outcome: &mut Outcome) -> Result<(), String> {
    deployment.expire_leases().await?;
    if let Err(failure) = deployment.sweep().await {
        outcome.violations.push(Violation::Stuck(format!("a sweep failed: {failure}")));
    }
    outcome.nothing_remains(deployment).await?;
    let objects = deployment.objects_of(&deployment.ada);
    if !objects.is_empty() {
        outcome
            .violations
            .push(Violation::Stuck(format!("objects of a deleted account still exist: {objects:?}")));
    }
    deployment.register_again().await
}

impl Outcome {
    async fn nothing_remains(&mut self, deployment: &Deployment) -> Result<(), String> {
        for name in deployment.existing() {
            self.violations.push(Violation::Leaked(format!("{name} still exists")));
        }
        let deleted = deployment.foreign_deleted();
        if deleted > 0 {
            self.violations.push(Violation::Leaked(format!("{deleted} foreign voices were deleted")));
        } else if deployment.max_existing() > CLONE_SLOTS {
            let max = deployment.max_existing();
            self.violations.push(Violation::Leaked(format!("{max} voices existed at once")));
        }
        self.violations.extend(deployment.held().await?.into_iter().map(Violation::Stuck));
        Ok(())
    }

    /// All requests with one key: one charge if one of them got audio, and equal bytes for all.
    fn check_charges(&mut self, ada: &[Response], bob: &Response, before: &Charges, after: &Charges) {
        let audio: Vec<&Response> = ada.iter().filter(|response| response.is_audio()).collect();
        if audio.windows(2).any(|pair| pair[0] != pair[1]) {
            self.violations.push(Violation::Mischarged(String::from("retried requests got different bytes")));
        }
        let cost = audio.first().map_or(0, |response| response.cost());
        let charged = after.ada - before.ada;
        if charged != cost {
            self.violations
                .push(Violation::Mischarged(format!("{charged} characters charged instead of {cost}")));
        }
        let (charged, cost) = (after.bob - before.bob, bob.cost());
        if charged != cost {
            self.violations
                .push(Violation::Mischarged(format!("bystander: {charged} charged instead of {cost}")));
        }
    }
}
