//! `cargo speed`: what the shipped programs cost, measured in one run against the stand-ins.
//!
//! Times on somebody's machine say little, so each of them stands beside a reference that was measured in the same
//! run, and the goal is for their ratio. Sizes and counts are what they are anywhere.
//!
//! - `stage`: the stand-ins, a performer, and the provider's usual slowness;
//! - `perform_time`: what a perform adds to the time of those it waits for, and what the first one adds to that;
//! - `sound`: checking a recording, and mixing the ambience under a voice;
//! - `cold_start`: from the execution of a program to its first question for an event;
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

/// Every function.
const FUNCTIONS: [&str; 7] = ["auth", "users", "activation", "thought", "perform", "usage", "sweep"];
/// The function that does nothing: the yardstick of cold starts.
const EMPTY: &str = "empty";
/// The program that works on sound as the functions do.
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

    println!("Starting the stand-ins and registering a performer …");
    let stage = BenchEnv::set(&binaries).await?;
    let mut report = Report::default();
    println!("Measuring performs, first and warm …");
    perform_time::measure(&binaries, &stage, &mut report).await?;
    println!("Measuring the work on sound …");
    sound::measure(&binaries, &mut report)?;
    println!("Measuring cold starts …");
    cold_start::measure(&binaries, &stage, &mut report).await?;
    println!("Measuring memory over {} performs, and package sizes …", footprint::PERFORMS);
    footprint::measure(&binaries, &stage, &mut report).await?;
    println!("Counting commands to the database …");
    round_trips::measure(&binaries, stage, &mut report).await?;
    Ok(report)
}
