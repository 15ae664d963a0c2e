//! Metrics: one line in CloudWatch's embedded metric format for each unit of work, all in one namespace.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! Each function defines what it measures; this file writes the lines, to standard output, where Lambda's log agent
//! picks them up. Outside Lambda nothing is written.

use std::{
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

use metrique::{
    emf::Emf,
    writer::{Entry, format::Format as _},
};

/// The namespace of every metric.
pub const NAMESPACE: &str = "NewVisions";

static ON: AtomicBool = AtomicBool::new(false);

/// Begins to write. [`crate::telemetry::init`] does it.
pub(crate) fn enable() {
    ON.store(true, Ordering::Relaxed);
}

/// Writes one unit of work's metrics.
pub fn emit(entry: &impl Entry) {
    if !ON.load(Ordering::Relaxed) {
        return;
    }
    let mut line = Vec::new();
    let mut format = Emf::builder(NAMESPACE.to_owned(), vec![vec![]]).build();
    if format.format(entry, &mut line).is_err() {
        tracing::warn!("a metric could not be written");
    }
    // In one write, so that no other line gets into it. If standard output is gone, so is the log.
    let _ = std::io::stdout().write_all(&line);
}
