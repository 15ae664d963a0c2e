//! The scheduled sweep: finishes what a perform could not. The cleanup itself is in [`shared::sweeper`].

mod metrics;
mod state;

use std::time::Duration;

use lambda_runtime::Context;
use shared::{deadline::Deadline, error::Error, mongo};

pub use shared::sweeper::SweepReport;
pub use state::AppState;

/// The function's timeout, if Lambda gives no deadline.
const TIMEOUT: Duration = Duration::from_mins(2);
/// Kept free for releasing slots and users while voices are deleted, and for what follows.
const RESERVE: Duration = Duration::from_secs(15);

/// Creating indexes: usually all exist. If there is much to index, the server continues without us.
const INDEXES_TIMEOUT: Duration = Duration::from_secs(8);
/// Getting the provider account's subscription.
const ACCOUNT_TIMEOUT: Duration = Duration::from_secs(5);

/// One sweep, and then every index that is missing, which prepares a fresh deployment.
///
/// Index creation is not retried by the driver after a broken connection, unlike the sweep's own writes, so it runs after
/// the sweep.
pub async fn sweep(state: &AppState, context: Option<&Context>) -> Result<SweepReport, Error> {
    let deadline = Deadline::from_invocation(context, &state.clock, TIMEOUT);
    let report = state.sweeper.sweep(deadline.minus(RESERVE)).await?;
    if let Err(error) = state.sweeper.sweep_history(deadline.minus(RESERVE)).await {
        error.log();
    }
    state.migration.clone().log_if_pending().await;
    let indexed = deadline.capped_at(INDEXES_TIMEOUT).timeout(mongo::ensure_indexes(&state.database)).await;
    indexed.map_err(|_| Error::internal("index creation timed out"))??;
    // The month's remaining voice creations are monitored here, every five minutes, instead of by every perform.
    let account = state.sweeper.elevenlabs.subscription(deadline.capped_at(ACCOUNT_TIMEOUT)).await;
    if let Err(error) = &account {
        tracing::warn!(%error, "failed to get the ElevenLabs subscription");
    }
    metrics::record(&state.stage, &state.clock, &report, account.as_ref().ok());
    Ok(report)
}
