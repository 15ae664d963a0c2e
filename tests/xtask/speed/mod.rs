//! `cargo speed`: the benchmark of the release programs, against the fakes.
//!
//! Times depend on the machine, so each is compared with a reference of the same run, and the goal is for the ratio. Sizes
//! and counts are the same on any machine.
//!
//! - `bench_env`: the fakes, a performer, and realistic delays of the providers;
//! - `perform_time`: the time of a perform beyond what it waits for, and of the first one beyond a later one;
//! - `sound`: validating a recording, and mixing the ambience under a voice;
//! - `cold_start`: from the start of a program to its first request for an event;
//! - `footprint`: memory after many performs, and the size of the deployment packages;
//! - `round_trips`: commands to the database for each call;
//! - `report`: what is printed.

mod bench_env;
mod cold_start;
mod footprint;
mod perform_time;
mod report;
mod round_trips;
mod sound;

use std::process::ExitCode;

use clap::Args;

use bench_env::BenchEnv;
use report::Report;
use tests::harness::LambdaBinaries;

const FUNCTIONS: [&str; 7] = ["auth", "users", "activation", "thought", "perform", "usage", "sweep"];
/// The function that does nothing: the reference of cold starts.
const EMPTY: &str = "empty";
/// The program that processes audio as the functions do.
const SOUND: &str = "sound";

/// Build the release programs, measure what they cost, and report which goals are met.
#[derive(Args)]
pub struct Arguments {
    /// Fail if a goal is missed
    #[arg(long)]
    strict: bool,
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let report = measure().await?;
    println!("{report}");
    Ok(if arguments.strict && !report.all_met() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure() -> Result<Report, String> {
    println!("Building the release programs (some minutes at first):");
    let binaries = LambdaBinaries::build(Some("--release"), &[&FUNCTIONS[..], &[EMPTY, SOUND]].concat())?;
    println!("Built in {:.0} s.", binaries.built_in.as_secs_f64());

    println!("Starting the fakes and registering a performer …");
    let bench = BenchEnv::start(&binaries).await?;
    let mut report = Report::default();
    println!("Measuring performs, first and warm …");
    perform_time::measure(&binaries, &bench, &mut report).await?;
    println!("Measuring audio processing …");
    sound::measure(&binaries, &mut report)?;
    println!("Measuring cold starts …");
    cold_start::measure(&binaries, &bench, &mut report).await?;
    println!("Measuring memory over {} performs, and package sizes …", footprint::PERFORMS);
    footprint::measure(&binaries, &bench, &mut report).await?;
    println!("Counting commands to the database …");
    round_trips::measure(&binaries, bench, &mut report).await?;
    Ok(report)
}
