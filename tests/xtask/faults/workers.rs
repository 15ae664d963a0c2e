//! Runs cases in parallel, each worker with a deployment of its own: most cases wait more than they compute.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tests::harness::LambdaBinaries;
use tokio::{sync::Mutex, task::JoinSet};

use super::{case::Outcome, deployment::Deployment};

/// How often the progress is printed.
const PROGRESS: Duration = Duration::from_secs(10);

/// What all deployments share.
pub struct Shared {
    pub binaries: LambdaBinaries,
    pub mongodb_uri: String,
}

/// Something to run in a deployment.
pub trait Task: Send + Sync + 'static {
    /// `number` is unique among all tasks.
    fn run(
        &self,
        deployment: &mut Deployment,
        number: usize,
    ) -> impl Future<Output = Result<Outcome, String>> + Send;
}

/// Runs every task, `parallel` at a time; returns the outcomes in the tasks' order. A deployment with a violation is not
/// used again, so that one failure does not look like many.
pub async fn run<T: Task>(
    shared: Arc<Shared>,
    parallel: usize,
    tasks: Vec<T>,
) -> Result<Vec<(T, Outcome)>, String> {
    let total = tasks.len();
    let queue: Arc<Mutex<VecDeque<(usize, T)>>> =
        Arc::new(Mutex::new(tasks.into_iter().enumerate().collect()));
    let (done, wrong) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut workers = JoinSet::new();
    for _ in 0..parallel.min(total) {
        let (shared, queue, done, wrong) =
            (Arc::clone(&shared), Arc::clone(&queue), Arc::clone(&done), Arc::clone(&wrong));
        workers.spawn(async move {
            let mut outcomes = Vec::new();
            let mut deployment: Option<Deployment> = None;
            loop {
                let Some((number, task)) = queue.lock().await.pop_front() else { break };
                let mut at = match deployment.take() {
                    Some(deployment) => deployment,
                    None => Deployment::start(&shared.binaries, &shared.mongodb_uri).await?,
                };
                let outcome = task.run(&mut at, number).await?;
                done.fetch_add(1, Ordering::Relaxed);
                if outcome.violations.is_empty() {
                    deployment = Some(at);
                } else {
                    wrong.fetch_add(1, Ordering::Relaxed);
                }
                outcomes.push((number, task, outcome));
            }
            Ok::<_, String>(outcomes)
        });
    }

    let started = Instant::now();
    let mut ticks = tokio::time::interval(PROGRESS);
    let mut outcomes = Vec::new();
    loop {
        tokio::select! {
            worker = workers.join_next() => match worker {
                Some(worker) => outcomes.extend(worker.map_err(|panic| format!("A worker died: {panic}"))??),
                None => break,
            },
            _ = ticks.tick() => eprintln!(
                "{:4.0} s: {} of {total} cases, {} with violations",
                started.elapsed().as_secs_f64(),
                done.load(Ordering::Relaxed),
                wrong.load(Ordering::Relaxed),
            ),
        }
    }
    outcomes.sort_by_key(|(number, _, _)| *number);
    Ok(outcomes.into_iter().map(|(_, task, outcome)| (task, outcome)).collect())
}
