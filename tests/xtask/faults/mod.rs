//! `cargo faults`: injects every fault into every outbound call of a perform and of a sweep, in the real programs.
//!
//! The calls are not listed anywhere: a run without faults of each invocation shows them.
//!
//! - `scenario`: the invocations and their preconditions; `call`: the calls that they make;
//! - `fault`: the faults of each kind of call;
//! - `case`: one invocation with one fault, what clients and the sweep do afterwards, and what must hold then;
//! - `kills`: SIGKILL at random moments instead;
//! - `deployment`: one deployment; `workers`: many of them in parallel; `response`: what a client got;
//! - `report`: what is printed.

mod call;
mod case;
mod deployment;
mod fault;
mod kills;
mod report;
mod response;
mod scenario;
mod workers;

use std::{process::ExitCode, sync::Arc};

use clap::Args;
use shared::env::Env;
use tests::{fakes::mongodb::MongoDb, harness::LambdaBinaries};

use case::{FaultCase, Outcome};
use deployment::Deployment;
use kills::Kill;
use report::Summary;
use scenario::Scenario;
use workers::{Shared, Task};

/// How many run in parallel. Most of their time they wait.
const DEPLOYMENTS: usize = 10;

/// Inject every kind of failure into every outbound call, and report what is leaked, stuck or mischarged.
///
/// Without options: every fault of every call, then 100 kills at random moments of a perform.
#[derive(Args)]
pub struct Arguments {
    /// Only the faults that are quick and most likely to find something, and no kills
    #[arg(long)]
    short: bool,
    /// Only kill performs, at N random moments
    #[arg(long, value_name = "N")]
    kills: Option<usize>,
    /// Repeat the random moments of an earlier run
    #[arg(long, value_name = "S", default_value_t = fastrand::u64(..), hide_default_value = true)]
    seed: u64,
    /// Only cases whose line contains TEXT, and no kills
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

impl Arguments {
    fn includes(&self, case: &FaultCase) -> bool {
        let line = format!("{}: {}: {}", case.scenario, case.call, case.fault.name);
        (!self.short || case.fault.short) && self.only.as_ref().is_none_or(|text| line.contains(text))
    }
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let summary = run_cases(&arguments).await?;
    summary.print();
    Ok(if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_cases(arguments: &Arguments) -> Result<Summary, String> {
    eprintln!("Building the programs …");
    // Together with the tests, so that they share what is compiled.
    let binaries = LambdaBinaries::build(None, &["perform", "sweep", "tests"])?;
    let mongodb = match Env::from_process().get("TEST_MONGODB_URI") {
        Some(uri) => MongoDb::external(uri),
        None => MongoDb::start(None, 0).map_err(|error| error.to_string())?,
    };
    let shared = Arc::new(Shared { binaries, mongodb_uri: mongodb.uri().to_owned() });
    let deployment = Deployment::start(&shared.binaries, &shared.mongodb_uri).await?;
    let mut summary = Summary::default();

    if arguments.kills.is_none() {
        eprintln!("Recording the calls without faults …");
        let mut cases = Vec::new();
        for scenario in scenario::ALL {
            cases.extend(cases_of(&deployment, scenario).await?);
        }
        cases.retain(|case| arguments.includes(case));
        let outcomes = workers::run(Arc::clone(&shared), DEPLOYMENTS, cases).await?;
        report::print_table(&outcomes);
        summary.add(&outcomes);
    }

    let kills = arguments.kills.unwrap_or(if arguments.short || arguments.only.is_some() { 0 } else { 100 });
    if kills > 0 {
        let took = kills::time_of_a_perform(&deployment).await?;
        println!("{kills} kills within {took:.0?} of a perform; --seed {}", arguments.seed);
        let kills = Kill::random(kills, arguments.seed, took);
        let outcomes = workers::run(shared, DEPLOYMENTS, kills).await?;
        report::print_kills(&outcomes);
        summary.add(&outcomes);
    }
    Ok(summary)
}

/// Every case of an invocation, which is run without faults to see its calls.
async fn cases_of(deployment: &Deployment, scenario: Scenario) -> Result<Vec<FaultCase>, String> {
    let request = scenario.request(format!("recorded: {scenario}"));
    scenario.prepare(deployment, &request).await?;
    let response = scenario.act(deployment, &request).await;
    if !response.is_audio() && scenario != Scenario::Sweep {
        return Err(format!("{scenario}, without faults, got: {response}"));
    }
    let mut cases = Vec::new();
    for call in call::received(deployment).into_iter().filter(|call| scenario.covers(call)) {
        let mut faults = fault::for_call(&call);
        if scenario == Scenario::Perform {
            faults.push(fault::deletion(&call));
        }
        cases.extend(faults.into_iter().map(|fault| FaultCase { scenario, call: call.clone(), fault }));
    }
    Ok(cases)
}

impl Task for FaultCase {
    async fn run(&self, deployment: &mut Deployment, number: usize) -> Result<Outcome, String> {
        FaultCase::run(self, deployment, format!("case {number}")).await
    }
}
