//! Metrics: one line in CloudWatch's embedded metric format for each unit of work, all in one namespace.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! Each function defines what it measures; this file writes the lines: in Lambda to standard output, where the log
//! agent picks them up, and otherwise nowhere unless somebody asks for them.

use std::{
    io::Write,
    sync::{Mutex, PoisonError},
};

use metrique::{
    emf::Emf,
    writer::{Entry, format::Format as _},
};

/// The namespace of every metric.
pub const NAMESPACE: &str = "NewVisions";

static OUT: Mutex<Option<Box<dyn Write + Send>>> = Mutex::new(None);

/// Writes there from now on. [`crate::telemetry::init`] names standard output.
pub fn write_to(out: impl Write + Send + 'static) {
    *OUT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(out));
}

/// Writes one unit of work's metrics.
pub fn emit(entry: &impl Entry) {
    let mut out = OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(out) = out.as_mut() else { return };
    let mut line = Vec::new();
    let mut format = Emf::builder(NAMESPACE.to_owned(), vec![vec![]]).build();
    if format.format(entry, &mut line).is_err() {
        tracing::warn!("a metric could not be written");
    }
    // In one write, so that no other line gets into it. If standard output is gone, so is the log.
    let _ = out.write_all(&line);
}
