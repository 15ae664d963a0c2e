//! Owns one process of a function with its Runtime API: execution, output, signals, end.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::server::RuntimeApi;
use super::{Failure, Options, lock};

/// How long a process may take until it asks for its first event. More than the platform's ten seconds, because this
/// machine may be busy.
const INIT_LIMIT: Duration = Duration::from_mins(1);

/// One process and its Runtime API. Each has its own, so that nothing of a dead one reaches its successor.
#[derive(Debug)]
pub(super) struct Instance {
    pid: String,
    executed: Instant,
    api: RuntimeApi,
    exited: watch::Receiver<Option<ExitStatus>>,
    kill: Arc<Notify>,
    owner: AbortHandle,
}

impl Drop for Instance {
    fn drop(&mut self) {
        // The task owns the process, which is killed when it is dropped.
        self.owner.abort();
    }
}

impl Instance {
    pub(super) async fn start(
        bootstrap: &Path,
        env: &[(String, String)],
        options: &Options,
        logs: &Arc<Mutex<Vec<String>>>,
    ) -> Result<Self, Failure> {
        let not_started =
            |error: std::io::Error| Failure::NotStarted(format!("{}: {error}", bootstrap.display()));
        let api = RuntimeApi::start().await.map_err(not_started)?;
        let mut command = Command::new(bootstrap);
        command
            .env_clear()
            .envs(platform_variables(options))
            .envs(env.iter().map(|(name, value)| (name, value)));
        command.env("AWS_LAMBDA_RUNTIME_API", api.address().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let executed = Instant::now();
        let mut child = command.spawn().map_err(not_started)?;
        let pid = child.id().unwrap_or_default().to_string();
        let log = join(
            collect_lines(child.stdout.take(), Arc::clone(logs)),
            collect_lines(child.stderr.take(), Arc::clone(logs)),
        );
        let (exit, exited) = watch::channel(None);
        let kill = Arc::new(Notify::new());
        let owner = tokio::spawn(own(child, log, Arc::clone(&kill), exit)).abort_handle();
        Ok(Self { pid, executed, api, exited, kill, owner })
    }

    /// Waits for the first question for an event; gives the time from the execution to it.
    pub(super) async fn initialised(&self) -> Result<Duration, Failure> {
        tokio::select! {
            biased;
            first = self.api.first_next() => match first {
                Ok(at) => Ok(at.duration_since(self.executed)),
                Err(failure) => {
                    self.kill().await;
                    Err(failure)
                }
            },
            status = self.exit() => Err(Failure::Exited(status)),
            () = tokio::time::sleep(INIT_LIMIT) => {
                self.kill().await;
                Err(Failure::TimedOut)
            }
        }
    }

    /// How it ended, once it has.
    pub(super) async fn exit(&self) -> ExitStatus {
        let mut exited = self.exited.clone();
        loop {
            if let Some(status) = *exited.borrow_and_update() {
                return status;
            }
            if exited.changed().await.is_err() {
                // Without its owner there will be no news of the process.
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.exited.borrow().is_none()
    }

    pub(super) fn pid(&self) -> &str {
        &self.pid
    }

    pub(super) fn api(&self) -> &RuntimeApi {
        &self.api
    }

    /// Kills it without waiting for its end.
    pub(super) fn begin_kill(&self) {
        self.kill.notify_one();
    }

    pub(super) async fn kill(&self) {
        self.begin_kill();
        self.exit().await;
    }

    pub(super) async fn signal(&self, signal: &str) {
        if self.is_alive() {
            let _ = Command::new("kill").args([signal, &self.pid]).status().await;
        }
    }
}

/// Reaps the process, and says so once its last lines are in the log.
async fn own(
    mut child: Child,
    log: impl Future<Output = ((), ())> + Send + 'static,
    kill: Arc<Notify>,
    exit: watch::Sender<Option<ExitStatus>>,
) {
    let log = tokio::spawn(log);
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = kill.notified() => { let _ = child.start_kill(); }
        }
    };
    // Not for ever: a process that it started may hold the pipe.
    let _ = timeout(Duration::from_secs(1), log).await;
    if let Ok(status) = status {
        exit.send_replace(Some(status));
    }
}

async fn collect_lines(from: Option<impl AsyncRead + Unpin>, logs: Arc<Mutex<Vec<String>>>) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        lock(&logs).push(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
fn platform_variables(options: &Options) -> [(&'static str, String); 15] {
    [
        ("AWS_LAMBDA_FUNCTION_NAME", options.name.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", options.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", options.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/01/[$LATEST]0123456789abcdef0123456789abcdef".to_owned()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("LAMBDA_TASK_ROOT", "/var/task".to_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin".to_owned()),
    ]
}
