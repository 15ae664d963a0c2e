//! The Lambda function `sweep`.

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use shared::{clock::Clock, env::Env, error::Error, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let env = Env::from_process();
    telemetry::init(&env);
    let state = sweep::AppState::from_env(&env, Clock::system()).await?;
    let state = &state;
    // The event does not matter: scheduled, retried or invoked by hand, the sweep is the same.
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Value>| {
        sweep::sweep(state, Some(&event.context))
            .await
            .inspect_err(Error::log)
            .map_err(lambda_runtime::Error::from)
    }))
    .await
}
