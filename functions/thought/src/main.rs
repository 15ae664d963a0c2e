//! The entry point of the Lambda function `thought`.

use shared::{clock::Clock, env::Env, http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Env::from_process();
    telemetry::init(&env);
    http::run(thought::router(thought::AppState::from_env(&env, Clock::system()).await?), &env).await
}
