//! Failures on order: which operation of a stand-in shall fail, how often, and in what way.
//!
//! This file only keeps the orders. [`super::loopback`] carries them out, and each provider's module adds
//! constructors for the error answers that provider really gives.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

/// What a client can ask of a stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /v1/voices/add`
    Create,
    /// `POST /v1/text-to-speech/{voice_id}`, with or without `/stream`
    Synthesize,
    /// `DELETE /v1/voices/{voice_id}`
    Delete,
    /// `GET /v1/voices` and `GET /v2/voices`
    List,
    /// `GET /v1/voices/{voice_id}`
    Get,
    /// `GET /v1/user/subscription`
    Subscription,
    /// `GET …/models` and `GET …/models/{model}`, at either provider
    Models,
    /// `POST …/models/{model}:generateContent`
    Generate,
}

/// One way for a request to go wrong. "Effect" is what the request asks for: the voice that comes to exist,
/// the characters that are charged.
#[derive(Debug, Clone)]
pub enum Fault {
    /// No fault: lets a call through, so that the one after it can fail.
    Pass,
    /// Answers this instead of doing anything.
    Respond(Response<Bytes>),
    /// Never answers, and does nothing.
    TimeoutBeforeEffect,
    /// Does what was asked and never says so.
    TimeoutAfterEffect,
    /// Waits before doing what was asked. It happens even if the client has gone meanwhile.
    DelayBeforeEffect(Duration),
    /// Does what was asked at once and answers this much later.
    DelayAfterEffect(Duration),
    /// Closes the connection without an answer, and does nothing.
    ResetBeforeEffect,
    /// Does what was asked, then closes the connection without an answer.
    ResetAfterEffect,
    /// Does what was asked, announces the whole body, sends half of it and closes the connection.
    TruncatedBody,
    /// Does what was asked and lets the body trickle out over this long.
    SlowDrip(Duration),
}

impl Fault {
    /// A JSON answer.
    ///
    /// # Panics
    /// When `status` is no HTTP status.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::respond(status, "application/json", body.to_string())
    }

    /// An HTML answer, as load balancers give it.
    ///
    /// # Panics
    /// When `status` is no HTTP status.
    #[must_use]
    pub fn html(status: u16, body: &str) -> Self {
        Self::respond(status, "text/html; charset=UTF-8", body.to_owned())
    }

    /// A plain-text answer, as frameworks give it when a handler crashes.
    ///
    /// # Panics
    /// When `status` is no HTTP status.
    #[must_use]
    pub fn text(status: u16, body: &str) -> Self {
        Self::respond(status, "text/plain; charset=utf-8", body.to_owned())
    }

    /// The load balancer's own 503, in HTML.
    #[must_use]
    pub fn html_503() -> Self {
        Self::html(
            503,
            "<html><head><title>503 Service Temporarily Unavailable</title></head><body></body></html>",
        )
    }

    /// The same answer with one more header. Other faults have no headers and stay as they are.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if let Self::Respond(answer) = &mut self {
            answer.headers_mut().insert(name, value);
        }
        self
    }

    /// Whether what was asked for is done first.
    pub(super) fn is_after_effect(&self) -> bool {
        matches!(
            self,
            Self::TimeoutAfterEffect
                | Self::DelayAfterEffect(_)
                | Self::ResetAfterEffect
                | Self::TruncatedBody
                | Self::SlowDrip(_)
        )
    }

    fn respond(status: u16, content_type: &'static str, body: String) -> Self {
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = StatusCode::from_u16(status).expect("an HTTP status");
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self::Respond(answer)
    }
}

/// Tells when a fault is met: for one "after effect", when the effect is there. Clones share it.
///
/// Whoever wants to do something in just that moment, such as killing the client, waits here.
#[derive(Debug, Clone, Default)]
pub struct Met(Arc<watch::Sender<bool>>);

impl Met {
    /// Waits until a fault was met since the last [`forget`](Self::forget).
    pub async fn wait(&self) {
        // It cannot fail: the sender is ours.
        let _ = self.0.subscribe().wait_for(|met| *met).await;
    }

    /// Whether a fault was met since the last [`forget`](Self::forget).
    #[must_use]
    pub fn already(&self) -> bool {
        *self.0.borrow()
    }

    /// As if none had been met.
    pub(super) fn forget(&self) {
        self.0.send_replace(false);
    }

    pub(super) fn now(&self) {
        self.0.send_replace(true);
    }
}

/// The orders of one stand-in. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    orders: Arc<Mutex<HashMap<Operation, Orders>>>,
    met: Met,
}

#[derive(Debug, Default)]
struct Orders {
    next: VecDeque<Fault>,
    always: Option<Fault>,
}

impl Faults {
    /// The next call of `operation` meets `fault`; further orders queue up behind it.
    pub fn next(&self, operation: Operation, fault: Fault) {
        self.with(operation, |orders| orders.next.push_back(fault));
    }

    /// The next `n` calls of `operation` meet `fault`.
    pub fn next_n(&self, operation: Operation, n: usize, fault: &Fault) {
        self.with(operation, |orders| orders.next.extend(std::iter::repeat_n(fault.clone(), n)));
    }

    /// Every call of `operation` meets `fault`, once those queued for it are used up.
    pub fn always(&self, operation: Operation, fault: Fault) {
        self.with(operation, |orders| orders.always = Some(fault));
    }

    /// Takes back every order, and forgets that any was met.
    pub fn clear(&self) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.met.forget();
    }

    /// The moment in which a fault is met.
    #[must_use]
    pub fn met(&self) -> &Met {
        &self.met
    }

    /// What the call that just came in shall meet.
    pub(super) fn take(&self, operation: Operation) -> Fault {
        self.with(operation, |orders| {
            orders.next.pop_front().or_else(|| orders.always.clone()).unwrap_or(Fault::Pass)
        })
    }

    fn with<T>(&self, operation: Operation, change: impl FnOnce(&mut Orders) -> T) -> T {
        change(self.orders.lock().unwrap_or_else(PoisonError::into_inner).entry(operation).or_default())
    }
}
