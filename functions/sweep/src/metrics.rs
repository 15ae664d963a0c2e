//! The metrics of every sweep. An alarm watches that there are any.

use std::time::SystemTime;

use metrique::{CloseValue as _, RootEntry, unit::Percent, unit_of_work::metrics};
use shared::{clock::Clock, elevenlabs::Subscription, sweeper::SweepReport};

#[metrics(
    emf::dimension_sets = [["Stage", "Function", "Outcome"], ["Stage", "Function"]],
    rename_all = "PascalCase"
)]
struct SweepMetrics {
    #[metrics(timestamp)]
    at: SystemTime,
    stage: String,
    function: &'static str,
    outcome: &'static str,
    orphans_swept: u64,
    slots_held: u64,
    cleanup_failures: u64,
    /// Voice creations that the account has left this month.
    add_edit_budget_left: Option<u64>,
    /// In percent of the plan's monthly limit: plans differ too much for an alarm on the absolute number.
    #[metrics(unit = Percent)]
    add_edit_budget_left_percent: Option<u64>,
}

pub fn record(stage: &str, clock: &Clock, report: &SweepReport, account: Option<&Subscription>) {
    let budget = account.and_then(|account| {
        let all = u64::try_from(account.max_voice_add_edits?).ok()?;
        let used = u64::try_from(account.voice_add_edit_counter?).unwrap_or(0);
        Some((all.saturating_sub(used), all))
    });
    let metrics = SweepMetrics {
        at: clock.now().to_system_time(),
        stage: stage.to_owned(),
        function: "sweep",
        outcome: if report.failed == 0 && !report.list_failed { "ok" } else { "incomplete" },
        orphans_swept: report.swept,
        slots_held: report.slots_held,
        cleanup_failures: report.failed + u64::from(report.list_failed),
        add_edit_budget_left: budget.map(|(left, _)| left),
        add_edit_budget_left_percent: budget.and_then(|(left, all)| (100 * left).checked_div(all)),
    };
    shared::metrics::emit(&RootEntry::new(metrics.close()));
}
