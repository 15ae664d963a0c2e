//! What every sweep leaves: its metrics. That there is one at all tells that the sweep runs; an alarm watches for that.

use std::time::SystemTime;

use metrique::{CloseValue as _, RootEntry, unit_of_work::metrics};
use shared::{clock::Clock, elevenlabs::Subscription, sweeper::Swept};

#[metrics(
    emf::dimension_sets = [["Stage", "Function", "Outcome"], ["Stage", "Function"]],
    rename_all = "PascalCase"
)]
struct Measured {
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
}

/// Writes the metrics of a sweep.
pub fn record(stage: &str, clock: &Clock, swept: &Swept, account: Option<&Subscription>) {
    let budget = account
        .and_then(|account| Some(account.max_voice_add_edits? - account.voice_add_edit_counter?))
        .and_then(|left| u64::try_from(left.max(0)).ok());
    let measured = Measured {
        at: clock.now().to_system_time(),
        stage: stage.to_owned(),
        function: "sweep",
        outcome: if swept.failed == 0 { "ok" } else { "incomplete" },
        orphans_swept: swept.swept,
        slots_held: swept.slots_held,
        cleanup_failures: swept.failed,
        add_edit_budget_left: budget,
    };
    shared::metrics::emit(&RootEntry::new(measured.close()));
}
