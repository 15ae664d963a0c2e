//! SIGKILL at random moments of a perform, with fakes that have realistic relative delays.

use std::time::{Duration, Instant};

use tests::fakes::elevenlabs::Delays;

use super::{
    case::{Charges, Outcome, aftermath},
    deployment::Deployment,
    response::Response,
    scenario::Scenario,
    workers::Task,
};

/// A little beyond the end of a perform, so that its last step is hit as often as any other.
const BEYOND: f64 = 1.1;
/// The number of performs to measure.
const TIMED: usize = 5;

/// A kill this long after the request.
pub struct Kill {
    pub after: Duration,
}

impl Kill {
    /// Random moments, uniform over the duration of a perform.
    pub fn random(number: usize, seed: u64, perform: Duration) -> Vec<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..number).map(|_| Self { after: perform.mul_f64(random.f64() * BEYOND) }).collect()
    }
}

/// The median duration of a perform without faults.
pub async fn time_of_a_perform(deployment: &Deployment) -> Result<Duration, String> {
    let mut times = Vec::new();
    for number in 0..TIMED {
        slow_down(deployment);
        let request = Scenario::Perform.request(format!("timed {number}"));
        let started = Instant::now();
        let response = Response::read(deployment.perform(&deployment.ada, &request).await);
        if !response.is_audio() {
            return Err(format!("A perform without faults got: {response}"));
        }
        times.push(started.elapsed());
    }
    times.sort();
    Ok(times[TIMED / 2])
}

/// A tenth of the usual delays: each moment stays as likely as in production, and the run is short.
fn slow_down(deployment: &Deployment) {
    deployment.wire().set_delay(Duration::from_millis(2));
    deployment.s3().set_delay(Duration::from_millis(10));
    deployment.gemini().set_generate_delay(Duration::from_millis(80));
    deployment.elevenlabs().set_delays(Delays {
        create: Duration::from_millis(300),
        first_byte: Duration::from_millis(60),
        delete: Duration::from_millis(40),
        list: Duration::ZERO,
    });
}

impl Task for Kill {
    async fn run(&self, deployment: &mut Deployment, number: usize) -> Result<Outcome, String> {
        let request = Scenario::Perform.request(format!("kill {number}"));
        let before = Charges::read(deployment).await?;
        slow_down(deployment);
        let act = Scenario::Perform.act(deployment, &request);
        let kill = async {
            tokio::time::sleep(self.after).await;
            deployment.perform.kill().await;
            std::future::pending::<()>().await;
        };
        let response = tokio::select! {
            response = act => response,
            () = kill => Response::Killed,
        };
        deployment.heal();
        let mut outcome = Outcome::new(response, true);
        aftermath(deployment, &request, &before, false, &mut outcome).await?;
        Ok(outcome)
    }
}
