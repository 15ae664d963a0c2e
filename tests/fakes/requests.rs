//! The requests that a fake received, and how long it took for each.
//!
//! A span opens when the whole request has arrived and closes when the last byte of the response was handed to the
//! connection, so it holds the fake's own time and nothing of the client's. The benchmark subtracts these spans from
//! what the client measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::faults::Operation;

/// One finished request.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub operation: Operation,
    /// When the last byte of the request had arrived.
    pub started: Instant,
    /// When the last byte of the response was handed over, or the connection was given up.
    pub ended: Instant,
    /// The HTTP status; `None` when the client never saw one (a reset, or a timeout it did not outlast).
    pub status: Option<u16>,
}

impl Span {
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.ended.duration_since(self.started)
    }
}

/// The requests of one fake. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RequestLog(Arc<watch::Sender<Log>>);

#[derive(Debug, Default)]
struct Log {
    received: Vec<(Operation, Instant)>,
    finished: Vec<Span>,
    /// Requests in progress, also those received before the last [`RequestLog::clear`].
    open: usize,
}

impl RequestLog {
    /// What was requested and when, in order; also what is still in progress.
    #[must_use]
    pub fn received(&self) -> Vec<(Operation, Instant)> {
        self.0.borrow().received.clone()
    }

    /// Every finished request, in the order in which they finished.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.0.borrow().finished.clone()
    }

    /// How many requests for `operation` have finished.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        self.0.borrow().finished.iter().filter(|span| span.operation == operation).count()
    }

    /// Waits until no request is in progress: a span closes an instant after the client has the last byte.
    pub async fn finished(&self) {
        // Cannot fail: the sender is ours.
        let _ = self.0.subscribe().wait_for(|log| log.open == 0).await;
    }

    /// Forgets every request, for example between two rounds of a benchmark.
    pub fn clear(&self) {
        self.0.send_modify(|log| {
            log.received.clear();
            log.finished.clear();
        });
    }

    /// Opens a span that closes itself when dropped.
    pub(super) fn open(&self, operation: Operation) -> OpenSpan {
        let started = Instant::now();
        self.0.send_modify(|log| {
            log.received.push((operation, started));
            log.open += 1;
        });
        OpenSpan { log: self.clone(), operation, started, status: None }
    }
}

/// A request being served. It is dropped with the response's body, or with the connection.
pub(super) struct OpenSpan {
    log: RequestLog,
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
        self.log.0.send_modify(|log| {
            log.finished.push(span);
            log.open -= 1;
        });
    }
}
