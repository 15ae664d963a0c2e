//! Owns one Lambda function as the platform runs it: a real bootstrap program behind a Runtime API in this process,
//! with a true deadline, the payload limits, a kill without a signal to the function, and a new process after a
//! dead one. It must not know what the function does.
//!
//! The platform: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>.

mod http_event;
mod process;
mod server;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};

pub use http_event::{HttpAnswer, http_event};
use process::Instance;
use server::Invocation;

/// The largest event and the largest answer, in bytes, as the platform's own error messages name them.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const REQUEST_LIMIT: usize = 6_291_456;
/// See [`REQUEST_LIMIT`].
pub const RESPONSE_LIMIT: usize = 6_291_556;

/// How the function is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The function's name.
    pub name: String,
    /// How long one invocation may take; then the process is killed.
    pub timeout: Duration,
    /// The memory the function is told it has. Nothing enforces it.
    pub memory_mb: u32,
    /// Whether the process stands still between invocations, as on the platform.
    pub freeze: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { name: "function".to_owned(), timeout: Duration::from_secs(30), memory_mb: 256, freeze: false }
    }
}

/// Why an invocation has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The bootstrap could not be executed.
    NotStarted(String),
    /// The function answered with an error, or its start did.
    Function {
        /// The `errorType`.
        error_type: String,
        /// The `errorMessage`.
        message: String,
    },
    /// The deadline passed, and the process was killed.
    TimedOut,
    /// The process ended without an answer.
    Exited(ExitStatus),
    /// The event has this many bytes, which is more than [`REQUEST_LIMIT`]. The function did not see it.
    RequestTooLarge(usize),
    /// The answer has this many bytes, which is more than [`RESPONSE_LIMIT`].
    ResponseTooLarge(usize),
    /// The answer is not what it should be: not JSON, or no HTTP answer for an HTTP event.
    Malformed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(f, "the bootstrap cannot be started: {error}"),
            Self::Function { error_type, message } => {
                write!(f, "the function failed with {error_type}: {message}")
            }
            Self::TimedOut => f.write_str("the function timed out"),
            Self::Exited(status) => write!(f, "the function's process ended ({status})"),
            Self::RequestTooLarge(bytes) => write!(f, "the event of {bytes} bytes is too large"),
            Self::ResponseTooLarge(bytes) => write!(f, "the answer of {bytes} bytes is too large"),
            Self::Malformed(why) => write!(f, "the answer is malformed: {why}"),
        }
    }
}

impl std::error::Error for Failure {}

/// A function with at most one process, which answers one invocation at a time; further ones wait. The process is
/// killed with this value.
///
/// An invocation goes on when its future is dropped, as it does when the client of a gateway has gone.
#[derive(Debug)]
pub struct Function {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bootstrap: PathBuf,
    env: Vec<(String, String)>,
    options: Options,
    logs: Arc<Mutex<Vec<String>>>,
    /// One permit; closed once the function is dropped.
    turn: Semaphore,
    instance: Mutex<Arc<Instance>>,
    starts: AtomicUsize,
}

impl Drop for Function {
    fn drop(&mut self) {
        // Invocations that go on without their callers end with it, and those that wait do not begin.
        self.inner.turn.close();
        self.inner.current().begin_kill();
    }
}

impl Function {
    /// Starts `bootstrap` with the platform's variables and `env` (which wins), and nothing of our environment.
    /// Does not wait for it to ask for an event.
    pub async fn spawn<K: Into<String>, V: Into<String>>(
        bootstrap: &Path,
        env: impl IntoIterator<Item = (K, V)>,
        options: Options,
    ) -> Result<Self, Failure> {
        let env: Vec<_> = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let logs = Arc::default();
        let instance = Instance::start(bootstrap, &env, &options, &logs).await?;
        let inner = Inner {
            bootstrap: bootstrap.to_path_buf(),
            env,
            options,
            logs,
            turn: Semaphore::new(1),
            instance: Mutex::new(Arc::new(instance)),
            starts: AtomicUsize::new(1),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// From the execution of the current process to its first question for an event: the function's own part of a
    /// cold start.
    pub async fn time_to_first_next(&self) -> Result<Duration, Failure> {
        self.inner.current().initialised().await
    }

    /// Sends an event and gives the answer's JSON. A process that died is replaced first.
    pub async fn invoke(&self, event: &Value) -> Result<Value, Failure> {
        let invocation = Arc::clone(&self.inner).invoke(Bytes::from(event.to_string()));
        let answer =
            tokio::spawn(invocation).await.map_err(|error| Failure::NotStarted(error.to_string()))??;
        serde_json::from_slice(&answer).map_err(|error| Failure::Malformed(error.to_string()))
    }

    /// Sends an HTTP request as an API Gateway HTTP API does (see [`http_event`]) and decodes the answer.
    pub async fn invoke_http(
        &self,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<HttpAnswer, Failure> {
        HttpAnswer::decode(&self.invoke(&http_event(method, path_and_query, headers, body)).await?)
    }

    /// Kills the process with SIGKILL, also in the middle of an invocation, and waits until it is gone. The next
    /// invocation starts a new one.
    pub async fn kill(&self) {
        self.inner.current().kill().await;
    }

    /// Has the process stand still, as a machine that is paused does.
    pub async fn stop(&self) {
        self.inner.current().signal("-STOP").await;
    }

    /// Has it go on.
    pub async fn go_on(&self) {
        self.inner.current().signal("-CONT").await;
    }

    /// Whether a process lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.inner.current().is_alive()
    }

    /// How many processes were started so far: the number of cold starts.
    #[must_use]
    pub fn starts(&self) -> usize {
        self.inner.starts.load(Ordering::Relaxed)
    }

    /// The lines of standard output and standard error of all processes so far.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        lock(&self.inner.logs).clone()
    }

    /// The first line that contains `part`, waited for: a line may arrive after the answer. `None` if a minute was not enough.
    pub async fn log_with(&self, part: &str) -> Option<String> {
        let give_up = Instant::now() + Duration::from_mins(1);
        loop {
            let found = lock(&self.inner.logs).iter().find(|line| line.contains(part)).cloned();
            if found.is_some() || Instant::now() > give_up {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The process's resident memory in bytes. `None` where there is no `/proc`, and for a dead process.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    /// The most it ever was.
    #[must_use]
    pub fn peak_resident_bytes(&self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.inner.current().pid())).ok()?;
        let value = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(value.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }
}

impl Inner {
    async fn invoke(self: Arc<Self>, payload: Bytes) -> Result<Bytes, Failure> {
        if payload.len() > REQUEST_LIMIT {
            return Err(Failure::RequestTooLarge(payload.len()));
        }
        let _turn = self.turn.acquire().await.map_err(|closed| Failure::NotStarted(closed.to_string()))?;
        let instance = self.living().await?;
        if self.options.freeze {
            instance.signal("-CONT").await;
        }
        let limit = self.options.timeout;
        let (answer, answered) = oneshot::channel();
        instance.api().deliver(Invocation {
            payload,
            deadline_ms: shared::clock::Clock::system().now().timestamp_millis()
                + i64::try_from(limit.as_millis()).unwrap_or(i64::MAX / 2),
            function: self.options.name.clone(),
            answer,
        });
        let result = tokio::select! {
            biased;
            Ok(answer) = answered => answer,
            status = instance.exit() => return Err(Failure::Exited(status)),
            () = tokio::time::sleep(limit) => {
                instance.kill().await;
                return Err(Failure::TimedOut);
            }
        };
        if self.options.freeze {
            // It is frozen once it asks for the next event: before, the answer is still on its way.
            tokio::select! {
                () = instance.api().waiting() => instance.signal("-STOP").await,
                _ = instance.exit() => {}
                () = tokio::time::sleep(limit) => {}
            }
        }
        result
    }

    fn current(&self) -> Arc<Instance> {
        Arc::clone(&lock(&self.instance))
    }

    /// The current process, or a new one if it is dead; ready for an event.
    async fn living(&self) -> Result<Arc<Instance>, Failure> {
        if !self.current().is_alive() {
            let instance = Instance::start(&self.bootstrap, &self.env, &self.options, &self.logs).await?;
            self.starts.fetch_add(1, Ordering::Relaxed);
            *lock(&self.instance) = Arc::new(instance);
        }
        let instance = self.current();
        instance.initialised().await?;
        Ok(instance)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
