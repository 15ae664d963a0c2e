//! Injected failures: which operation of a fake fails, how often, and in what way.
//!
//! This file only holds the rules. [`super::server`] applies them, and each provider's module adds constructors for
//! the error responses which that provider really gives.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

/// An endpoint of a fake, as faults and logged requests name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /v1/voices/add`
    Create,
    /// `POST /v1/text-to-speech/{voice_id}`, with or without `/stream`
    Synthesize,
    /// `DELETE /v1/voices/{voice_id}`
    Delete,
    /// `DELETE /v1/history/{history_item_id}`
    DeleteHistory,
    /// `GET /v1/history/{history_item_id}`
    GetHistory,
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

/// One way for a request to go wrong. "Effect" is what the request asks for: the voice that is created, the characters
/// that are charged.
#[derive(Debug, Clone)]
pub enum Fault {
    /// No fault: lets one call through, so that the next can fail.
    Pass,
    /// Responds with this and does nothing.
    Respond(Response<Bytes>),
    /// Never responds, and does nothing.
    TimeoutBeforeEffect,
    /// Takes effect and never responds.
    TimeoutAfterEffect,
    /// Takes effect and responds with this: its status, its body, and its headers beside the real ones.
    RespondAfterEffect(Response<Bytes>),
    /// Responds with this at once and takes effect this much later.
    RespondBeforeEffect(Response<Bytes>, Duration),
    /// Takes effect; the response says that its body is of this type.
    ContentType(HeaderValue),
    /// Takes effect this much later, even if the client has gone meanwhile.
    DelayBeforeEffect(Duration),
    /// Takes effect at once and responds this much later.
    DelayAfterEffect(Duration),
    /// Closes the connection without a response, and does nothing.
    ResetBeforeEffect,
    /// Takes effect, then closes the connection without a response.
    ResetAfterEffect,
    /// Takes effect, announces the whole body, sends half of it and closes the connection.
    TruncatedBody,
    /// Takes effect and sends the body in small pieces over this time.
    SlowDrip(Duration),
}

impl Fault {
    /// A JSON response.
    ///
    /// # Panics
    /// When `status` is no HTTP status.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::respond(status, "application/json", body.to_string())
    }

    /// An HTML response, as load balancers give it.
    ///
    /// # Panics
    /// When `status` is no HTTP status.
    #[must_use]
    pub fn html(status: u16, body: &str) -> Self {
        Self::respond(status, "text/html; charset=UTF-8", body.to_owned())
    }

    /// A plain-text response, as frameworks give it when a handler crashes.
    ///
    /// # Panics
    /// When `status` is no HTTP status.
    #[must_use]
    pub fn text(status: u16, body: &str) -> Self {
        Self::respond(status, "text/plain; charset=utf-8", body.to_owned())
    }

    /// A response without a body.
    ///
    /// # Panics
    /// When `status` is no HTTP status.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::from_u16(status).expect("an HTTP status");
        Self::Respond(response)
    }

    /// 200 with these bytes.
    #[must_use]
    pub fn bytes(content_type: &'static str, body: Bytes) -> Self {
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self::Respond(response)
    }

    /// The same response, but the request takes effect. Other faults stay as they are.
    #[must_use]
    pub fn after_effect(self) -> Self {
        if let Self::Respond(response) = self { Self::RespondAfterEffect(response) } else { self }
    }

    /// The same response, but the request takes effect this much later. Other faults stay as they are.
    #[must_use]
    pub fn before_effect(self, delay: Duration) -> Self {
        if let Self::Respond(response) = self { Self::RespondBeforeEffect(response, delay) } else { self }
    }

    /// The load balancer's own 503, in HTML.
    #[must_use]
    pub fn html_503() -> Self {
        Self::html(
            503,
            "<html><head><title>503 Service Temporarily Unavailable</title></head><body></body></html>",
        )
    }

    /// The same response with one more header. Other faults have no headers and stay as they are.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if let Self::Respond(response) = &mut self {
            response.headers_mut().insert(name, value);
        }
        self
    }

    /// Whether the request takes effect first.
    pub(super) fn is_after_effect(&self) -> bool {
        matches!(
            self,
            Self::TimeoutAfterEffect
                | Self::DelayAfterEffect(_)
                | Self::RespondAfterEffect(_)
                | Self::ContentType(_)
                | Self::ResetAfterEffect
                | Self::TruncatedBody
                | Self::SlowDrip(_)
        )
    }

    fn respond(status: u16, content_type: &'static str, body: String) -> Self {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::from_u16(status).expect("an HTTP status");
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self::Respond(response)
    }
}

/// Set when an injected fault is triggered: for one "after effect", when the effect is there. Clones share it.
///
/// Tests wait for it to act in just that moment, for example to kill the client.
#[derive(Debug, Clone, Default)]
pub struct FaultSignal(Arc<watch::Sender<bool>>);

impl FaultSignal {
    /// Waits until a fault is triggered, or returns at once if one was since the last reset.
    pub async fn wait(&self) {
        // Cannot fail: the sender is ours.
        let _ = self.0.subscribe().wait_for(|triggered| *triggered).await;
    }

    /// Whether a fault was triggered since the last reset.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    pub(super) fn reset(&self) {
        self.0.send_replace(false);
    }

    pub(super) fn set(&self) {
        self.0.send_replace(true);
    }
}

/// The faults injected into one fake. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Arc<Mutex<HashMap<Operation, Rules>>>,
    triggered: FaultSignal,
}

/// What the calls of one operation meet.
#[derive(Debug, Default)]
struct Rules {
    next: VecDeque<Fault>,
    always: Option<Fault>,
}

impl Faults {
    /// Injects `fault` into the next call of `operation`; further ones queue up behind it.
    pub fn next(&self, operation: Operation, fault: Fault) {
        self.with(operation, |rules| rules.next.push_back(fault));
    }

    /// Injects `fault` into the next `n` calls of `operation`.
    pub fn next_n(&self, operation: Operation, n: usize, fault: &Fault) {
        self.with(operation, |rules| rules.next.extend(std::iter::repeat_n(fault.clone(), n)));
    }

    /// Injects `fault` into every call of `operation`, once those queued for it are used up.
    pub fn always(&self, operation: Operation, fault: Fault) {
        self.with(operation, |rules| rules.always = Some(fault));
    }

    /// Removes every rule and resets the signal.
    pub fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.triggered.reset();
    }

    /// The signal that a fault was triggered.
    #[must_use]
    pub fn triggered(&self) -> &FaultSignal {
        &self.triggered
    }

    /// The fault for the call that just came in.
    pub(super) fn take(&self, operation: Operation) -> Fault {
        self.with(operation, |rules| {
            rules.next.pop_front().or_else(|| rules.always.clone()).unwrap_or(Fault::Pass)
        })
    }

    fn with<T>(&self, operation: Operation, change: impl FnOnce(&mut Rules) -> T) -> T {
        change(self.rules.lock().unwrap_or_else(PoisonError::into_inner).entry(operation).or_default())
    }
}
