//! The time from the start of each program to its first request for an event: the function's own part of a cold start.
//!
//! By then the configuration is read and every client is built. The reference is `empty`, which has neither. The programs
//! take turns, so that other load on the machine affects all of them.

use std::time::Duration;

use tests::harness::LambdaBinaries;

use super::{
    EMPTY, FUNCTIONS,
    bench_env::BenchEnv,
    report::{Report, median, spread},
};

/// Starts of each program.
const STARTS: usize = 21;

pub async fn measure(binaries: &LambdaBinaries, bench: &BenchEnv, report: &mut Report) -> Result<(), String> {
    let names = [&[EMPTY], FUNCTIONS.as_slice()].concat();
    let mut times = vec![Vec::new(); names.len()];
    // The first start reads the programs from the disk, which is the platform's part.
    for round in 0..=STARTS {
        for (name, times) in names.iter().zip(&mut times) {
            let time = start(binaries, bench, name).await?;
            if round > 0 {
                times.push(time);
            }
        }
    }
    let empty = median(&times[0]);
    for (name, times) in names.iter().zip(&times) {
        if *name != EMPTY {
            report.ratio(&format!("cold start of {name} ÷ {EMPTY}"), 3.0, median(times), empty);
        }
        report.raw(format!("cold start of {name}"), spread(times));
    }
    Ok(())
}

async fn start(binaries: &LambdaBinaries, bench: &BenchEnv, name: &str) -> Result<Duration, String> {
    let function = bench.function(binaries, name).await?;
    let time = function.time_to_first_next().await.map_err(|failure| format!("{name}: {failure}"))?;
    function.kill().await;
    Ok(time)
}
