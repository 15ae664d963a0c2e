//! SIGKILL at random moments of a perform, at a deployment whose stand-ins take about as long as a day's usual.

use std::time::{Duration, Instant};

use tests::fakes::elevenlabs::Delays;

use super::{
    answer::Answer,
    case::{Charges, Outcome, aftermath},
    scenario::Scenario,
    workers::Task,
    world::World,
};

/// Beyond the end of a usual perform, so that what comes last is hit as often as anything else.
const BEYOND: f64 = 1.1;
/// Performs whose time is taken.
const TIMED: usize = 5;

/// A kill so long after the request.
pub struct Kill {
    pub after: Duration,
}

impl Kill {
    /// So many moments, uniform over the time of a perform.
    pub fn random(number: usize, seed: u64, perform: Duration) -> Vec<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..number).map(|_| Self { after: perform.mul_f64(random.f64() * BEYOND) }).collect()
    }
}

/// How long an undisturbed perform takes: the median of a few.
pub async fn time_of_a_perform(world: &World) -> Result<Duration, String> {
    let mut times = Vec::new();
    for number in 0..TIMED {
        slow_down(world);
        let wish = Scenario::Perform.wish(format!("timed {number}"));
        let started = Instant::now();
        let answer = Answer::read(world.perform(&world.ada, &wish).await);
        if !answer.is_audio() {
            return Err(format!("A perform that nobody disturbed gave: {answer}"));
        }
        times.push(started.elapsed());
    }
    times.sort();
    Ok(times[TIMED / 2])
}

/// A tenth of the usual, so that each moment is as likely as in life and the run is short.
fn slow_down(world: &World) {
    world.wire().set_delay(Duration::from_millis(2));
    world.s3().set_delay(Duration::from_millis(10));
    world.gemini().set_generate_delay(Duration::from_millis(80));
    world.elevenlabs().set_delays(Delays {
        create: Duration::from_millis(300),
        first_byte: Duration::from_millis(60),
        delete: Duration::from_millis(40),
    });
}

impl Task for Kill {
    async fn run(&self, world: &mut World, number: usize) -> Result<Outcome, String> {
        let wish = Scenario::Perform.wish(format!("kill {number}"));
        let before = Charges::read(world).await?;
        slow_down(world);
        let act = Scenario::Perform.act(world, &wish);
        let kill = async {
            tokio::time::sleep(self.after).await;
            world.perform.kill().await;
            std::future::pending::<()>().await;
        };
        let answer = tokio::select! {
            answer = act => answer,
            () = kill => Answer::Killed,
        };
        world.heal();
        let mut outcome = Outcome::of(answer, true);
        aftermath(world, &wish, &before, false, &mut outcome).await?;
        Ok(outcome)
    }
}
