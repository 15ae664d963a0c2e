//! What a perform takes beyond the time of those that it waits for, and what the first one in a process takes
//! beyond a later one.
//!
//! The reference of the first ratio is the perform's critical path: the time that S3 and the providers themselves
//! were busy with what must come one after another. The database is not in it: its round trips are the perform's own
//! expense. The reference of the second is a warm perform of the same run.

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

/// Measures both.
pub async fn measure(binaries: &LambdaBinaries, stage: &BenchEnv, report: &mut Report) -> Result<(), String> {
    let mut first = Vec::new();
    for _ in 0..FIRST {
        stage.begin(&Delays::USUAL)?;
        // The start of the process is a part of what the first caller waits for.
        let started = Instant::now();
        let perform = stage.function(binaries, "perform").await?;
        stage.perform(&perform).await?;
        first.push(started.elapsed());
    }

    let perform = stage.function(binaries, "perform").await?;
    stage.perform(&perform).await?;
    let mut warm = Vec::new();
    for _ in 0..WARM {
        stage.begin(&Delays::USUAL)?;
        let time = stage.perform(&perform).await?;
        warm.push((time, critical_path(stage)?));
    }

    // Each perform is compared with its own critical path, and the one in the middle stands for all.
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
    add("  S3, in the last perform", stage.fetch()?);
    add("  thought, in the last perform", stage.span(Operation::Generate)?);
    add("  creating the clone, in the last perform", stage.span(Operation::Create)?);
    add("  speech, in the last perform", stage.span(Operation::Synthesize)?);
    add("  deleting the clone, in the last perform", stage.span(Operation::Delete)?);
    Ok(())
}

/// The critical path of the last perform.
fn critical_path(stage: &BenchEnv) -> Result<Duration, String> {
    let length = |(started, ended): (Instant, Instant)| ended.duration_since(started);
    Ok(least_time(
        length(stage.fetch()?) + length(stage.span(Operation::Create)?),
        length(stage.span(Operation::Generate)?),
        length(stage.span(Operation::Synthesize)?) + length(stage.span(Operation::Delete)?),
    ))
}

/// The least time in which S3 and the providers could have served a perform: fetching the recording and making the
/// clone, then speech and deletion. The thought can be written beside the first two, so of it only what is longer
/// counts, whether the perform did so or not.
fn least_time(fetch_and_create: Duration, thought: Duration, speech_and_deletion: Duration) -> Duration {
    fetch_and_create.max(thought) + speech_and_deletion
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thought_counts_only_where_it_cannot_be_hidden() {
        let seconds = Duration::from_secs;
        assert_eq!(least_time(seconds(3), seconds(1), seconds(2)), seconds(5));
        assert_eq!(least_time(seconds(3), seconds(4), seconds(2)), seconds(6));
    }
}
