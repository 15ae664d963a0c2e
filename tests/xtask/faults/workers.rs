//! Many worlds side by side, because most cells wait more than they compute; each world takes the next cell.

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

use super::{case::Outcome, world::World};

/// How often the progress is said.
const PROGRESS: Duration = Duration::from_secs(10);

/// What a world needs.
pub struct Ground {
    pub binaries: LambdaBinaries,
    pub mongodb_uri: String,
}

/// Something that is run in a world of its own time.
pub trait Task: Send + Sync + 'static {
    /// Runs it; `number` is its own among all.
    fn run(&self, world: &mut World, number: usize) -> impl Future<Output = Result<Outcome, String>> + Send;
}

/// Runs every task in one of so many worlds; gives the outcomes in the tasks' order. A world in which something was
/// wrong is left, so that one failure does not look like many.
pub async fn run<T: Task>(
    ground: Arc<Ground>,
    worlds: usize,
    tasks: Vec<T>,
) -> Result<Vec<(T, Outcome)>, String> {
    let total = tasks.len();
    let queue: Arc<Mutex<VecDeque<(usize, T)>>> =
        Arc::new(Mutex::new(tasks.into_iter().enumerate().collect()));
    let (done, wrong) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut workers = JoinSet::new();
    for _ in 0..worlds.min(total) {
        let (ground, queue, done, wrong) =
            (Arc::clone(&ground), Arc::clone(&queue), Arc::clone(&done), Arc::clone(&wrong));
        workers.spawn(async move {
            let mut outcomes = Vec::new();
            let mut world: Option<World> = None;
            loop {
                let Some((number, task)) = queue.lock().await.pop_front() else { break };
                let mut at = match world.take() {
                    Some(world) => world,
                    None => World::start(&ground.binaries, &ground.mongodb_uri).await?,
                };
                let outcome = task.run(&mut at, number).await?;
                done.fetch_add(1, Ordering::Relaxed);
                if outcome.wrongs.is_empty() {
                    world = Some(at);
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
                "{:4.0} s: {} of {total} cells, {} wrong",
                started.elapsed().as_secs_f64(),
                done.load(Ordering::Relaxed),
                wrong.load(Ordering::Relaxed),
            ),
        }
    }
    outcomes.sort_by_key(|(number, _, _)| *number);
    Ok(outcomes.into_iter().map(|(_, task, outcome)| (task, outcome)).collect())
}
