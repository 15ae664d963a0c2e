//! The time of a perform beyond what it waits for, and of the first one in a process beyond a later one.
//!
//! The reference of the first ratio is the perform's critical path: the time that S3 and the providers took for the calls
//! that must be sequential. Database round trips are not in it: they are the perform's own cost. The reference of the second
//! is a warm perform of the same run.

use std::time::{Duration, Instant};

use ::tests::{fakes::faults::Operation, harness::LambdaBinaries};

use super::{
    bench_env::{BenchEnv, Delays},
    report::{Report, median, milliseconds, spread},
};

/// Performs in a warm process.
const WARM: usize = 7;
/// Fresh processes.
const FIRST: usize = 5;

pub async fn measure(binaries: &LambdaBinaries, bench: &BenchEnv, report: &mut Report) -> Result<(), String> {
    let mut first = Vec::new();
    for _ in 0..FIRST {
        bench.reset(&Delays::USUAL)?;
        // The first caller waits for the start of the process, too.
        let started = Instant::now();
        let perform = bench.function(binaries, "perform").await?;
        bench.perform(&perform).await?;
        first.push(started.elapsed());
    }

    let perform = bench.function(binaries, "perform").await?;
    bench.perform(&perform).await?;
    let mut warm = Vec::new();
    for _ in 0..WARM {
        bench.reset(&Delays::USUAL)?;
        let time = bench.perform(&perform).await?;
        warm.push((time, critical_path(bench).await?));
    }

    // Each perform is compared with its own critical path; the median is reported.
    warm.sort_by_key(|(time, path)| time.saturating_sub(*path));
    let (time, path) = warm[WARM / 2];
    report.ratio("a warm perform ÷ what it waits for", 1.05, time, path);
    let times: Vec<Duration> = warm.iter().map(|(time, _)| *time).collect();
    report.ratio("the first perform ÷ a warm one", 1.5, median(&first), median(&times));

    let own: Vec<Duration> = warm.iter().map(|(time, path)| time.saturating_sub(*path)).collect();
    report.raw("warm perform", spread(&times));
    report.raw("  of it not waiting for S3 or a provider", spread(&own));
    report.raw("first perform, with the process's start", spread(&first));
    let mut add = |what: &str, (started, ended): (Instant, Instant)| {
        report.raw(what, milliseconds(ended.duration_since(started)));
    };
    add("  S3, in the last perform", bench.fetch()?);
    add("  thought, in the last perform", bench.span(Operation::Generate).await?);
    add("  creating the clone, in the last perform", bench.span(Operation::Create).await?);
    add("  speech, in the last perform", bench.span(Operation::Synthesize).await?);
    add("  deleting the clone, in the last perform", bench.span(Operation::Delete).await?);
    Ok(())
}

/// The critical path of the last perform.
async fn critical_path(bench: &BenchEnv) -> Result<Duration, String> {
    let length = |(started, ended): (Instant, Instant)| ended.duration_since(started);
    Ok(least_time(
        length(bench.fetch()?) + length(bench.span(Operation::Create).await?),
        length(bench.span(Operation::Generate).await?),
        length(bench.span(Operation::Synthesize).await?) + length(bench.span(Operation::Delete).await?),
    ))
}

/// The least time in which S3 and the providers could have served a perform: fetching the recording and creating the
/// clone, then speech and deletion. The thought can be generated concurrently with the first two, so only what it takes
/// beyond them counts.
fn least_time(fetch_and_create: Duration, thought: Duration, speech_and_deletion: Duration) -> Duration {
    fetch_and_create.max(thought) + speech_and_deletion
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_time_includes_the_thought_only_if_it_is_longer() {
        let seconds = Duration::from_secs;
        assert_eq!(least_time(seconds(3), seconds(1), seconds(2)), seconds(5));
        assert_eq!(least_time(seconds(3), seconds(4), seconds(2)), seconds(6));
    }
}
