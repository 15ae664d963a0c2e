//! `cargo faults`: everything that can go wrong with each outbound call of a perform and of a sweep, tried out on the
//! real programs.
//!
//! Which calls there are is not written down anywhere: an undisturbed run of each invocation is watched.
//!
//! - `scenario`: the invocations, and what was before them; `call`: the calls that they make;
//! - `trouble`: what can go wrong with a call of each kind;
//! - `cell`: one invocation with one trouble, what clients and the sweep do afterwards, and what must hold then;
//! - `kills`: SIGKILL at random moments instead;
//! - `world`: one deployment; `workers`: many of them side by side; `answer`: what a client got;
//! - `report`: what is printed.

mod answer;
mod call;
mod case;
mod fault;
mod kills;
mod report;
mod scenario;
mod workers;
mod world;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use shared::env::Env;
use tests::{fakes::mongodb::MongoDb, harness::LambdaBinaries};

use case::{FaultCase, Outcome};
use kills::Kill;
use report::Sum;
use scenario::Scenario;
use workers::{Ground, Task};
use world::World;

/// Side by side. Most of their time they wait.
const WORLDS: usize = 10;

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
    fn wants(&self, cell: &FaultCase) -> bool {
        let line = format!("{}: {}: {}", cell.scenario, cell.call, cell.trouble.name);
        (!self.short || cell.trouble.short) && self.only.as_ref().is_none_or(|text| line.contains(text))
    }
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let summary = run_cases(&arguments).await?;
    summary.print();
    Ok(if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_cases(arguments: &Arguments) -> Result<Sum, String> {
    eprintln!("Building the programs …");
    // With the tests, so that they share everything that is compiled.
    let binaries = LambdaBinaries::build(None, &["perform", "sweep", "tests"])?;
    let mongodb = match Env::from_process().get("TEST_MONGODB_URI") {
        Some(uri) => MongoDb::external(uri),
        None => MongoDb::start(None, 0).map_err(|error| error.to_string())?,
    };
    let ground = Arc::new(Ground { binaries, mongodb_uri: mongodb.uri().to_owned() });
    let world = World::start(&ground.binaries, &ground.mongodb_uri).await?;
    let mut sum = Sum::default();

    if arguments.kills.is_none() {
        eprintln!("Watching what is called …");
        let mut cells = Vec::new();
        for scenario in scenario::ALL {
            cells.extend(cells_of(&world, scenario).await?);
        }
        cells.retain(|cell| arguments.wants(cell));
        let outcomes = workers::run(Arc::clone(&ground), WORLDS, cells).await?;
        report::print_table(&outcomes);
        sum.add(&outcomes);
    }

    let kills = arguments.kills.unwrap_or(if arguments.short || arguments.only.is_some() { 0 } else { 100 });
    if kills > 0 {
        let took = kills::time_of_a_perform(&world).await?;
        println!("{kills} kills within {took:.0?} of a perform; --seed {}", arguments.seed);
        let kills = Kill::random(kills, arguments.seed, took);
        let outcomes = workers::run(ground, WORLDS, kills).await?;
        report::print_kills(&outcomes);
        sum.add(&outcomes);
    }
    Ok(sum)
}

/// Every cell of an invocation: runs it undisturbed, and watches what it calls.
async fn cells_of(world: &World, scenario: Scenario) -> Result<Vec<FaultCase>, String> {
    let wish = scenario.wish(format!("watched: {scenario}"));
    scenario.prepare(world, &wish).await?;
    let answer = scenario.act(world, &wish).await;
    if !answer.is_audio() && scenario != Scenario::Sweep {
        return Err(format!("{scenario}, undisturbed, gave: {answer}"));
    }
    // A journal may be written an instant after the answer.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut cells = Vec::new();
    for call in call::received(world).into_iter().filter(|call| scenario.is_about(call)) {
        let mut troubles = fault::of(&call);
        if scenario == Scenario::Perform {
            troubles.push(fault::deletion(&call));
        }
        cells.extend(troubles.into_iter().map(|trouble| FaultCase { scenario, call: call.clone(), trouble }));
    }
    Ok(cells)
}

impl Task for FaultCase {
    async fn run(&self, world: &mut World, number: usize) -> Result<Outcome, String> {
        FaultCase::run(self, world, format!("cell {number}")).await
    }
}
