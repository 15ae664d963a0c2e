//! Metrics: one line in CloudWatch's embedded metric format per unit of work, all in one namespace.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! Each function defines its metrics; this file writes them. In Lambda they go to standard output, where CloudWatch reads
//! them; elsewhere they are dropped unless [`write_to`] was called.

use std::{
    io::Write,
    sync::{Mutex, PoisonError},
};

use metrique::{
    emf::Emf,
    writer::{Entry, format::Format as _},
};

pub const NAMESPACE: &str = "NewVisions";

static OUT: Mutex<Option<Box<dyn Write + Send>>> = Mutex::new(None);

/// Sets where metrics are written. [`crate::telemetry::init`] sets standard output.
pub fn write_to(out: impl Write + Send + 'static) {
    *OUT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(out));
}

/// Writes the metrics of one unit of work.
pub fn emit(entry: &impl Entry) {
    let mut out = OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(out) = out.as_mut() else { return };
    let mut line = Vec::new();
    let mut format = Emf::builder(NAMESPACE.to_owned(), vec![vec![]]).build();
    if format.format(entry, &mut line).is_err() {
        tracing::warn!("formatting a metric failed");
    }
    // One write, so that no other output is mixed in. An error is ignored: without standard output there is no log either.
    let _ = out.write_all(&line);
}
