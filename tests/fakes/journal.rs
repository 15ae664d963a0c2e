//! What a stand-in did and for how long: one span per request.
//!
//! A span opens when the whole request has arrived and closes when the last byte of the answer was handed to the
//! connection, so it holds the stand-in's own time and nothing of the client's. A benchmark subtracts these
//! spans from what the client measured.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::faults::Operation;

/// One request that a stand-in finished with.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// What was asked for.
    pub operation: Operation,
    /// When the last byte of the request had arrived.
    pub started: Instant,
    /// When the last byte of the answer was handed over, or the connection was given up.
    pub ended: Instant,
    /// The HTTP status; `None` when the client never saw one (a reset, or a timeout it did not outlast).
    pub status: Option<u16>,
}

impl Span {
    /// How long the stand-in took.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.ended.duration_since(self.started)
    }
}

/// The finished requests of one stand-in, in the order in which they finished. Clones share the same record.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<Span>>>);

impl Journal {
    /// Every span so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.lock().clone()
    }

    /// How many requests for `operation` have finished.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        self.lock().iter().filter(|span| span.operation == operation).count()
    }

    /// Forgets everything, for example between two rounds of a benchmark.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Opens a span that closes itself when dropped.
    pub(super) fn open(&self, operation: Operation) -> OpenSpan {
        OpenSpan { journal: self.clone(), operation, started: Instant::now(), status: None }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Span>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request being served. It is dropped with the answer's body, or with the connection.
pub(super) struct OpenSpan {
    journal: Journal,
    operation: Operation,
    started: Instant,
    /// Set once the status line is about to be sent.
    pub(super) status: Option<u16>,
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        let span = Span {
            operation: self.operation,
            started: self.started,
            ended: Instant::now(),
            status: self.status,
        };
        self.journal.lock().push(span);
    }
}
