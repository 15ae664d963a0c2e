//! The entry point of the Lambda function `activation`.

use shared::{clock::Clock, env::Env, http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Env::from_process();
    telemetry::init(&env);
    let state = activation::AppState::from_env(&env, Clock::system()).await?;
    // Beside the first request, which need not wait for it.
    tokio::spawn(state.migration.clone().log_if_pending());
    http::run(activation::router(state), &env).await
}
