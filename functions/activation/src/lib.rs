//! Activation codes: verified, issued, and used once to reset a forgotten password.

mod codes;
mod reset_password;
mod verify;

use axum::{Router, extract::FromRef, routing::post};
use shared::{
    activation_codes::ActivationCodes, clock::Clock, env::Env, migration::MigrationCheck, mongo,
    password::Passwords, rate_limit::RateLimiter, security_log::SecurityLog, session::TokenVerifier,
    users::Users,
};
use utoipa::OpenApi;

#[derive(Clone, FromRef)]
pub struct AppState {
    users: Users,
    codes: ActivationCodes,
    passwords: Passwords,
    rate_limiter: RateLimiter,
    security_log: SecurityLog,
    verifier: TokenVerifier,
    pub migration: MigrationCheck,
}

impl AppState {
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_http::Error> {
        let database = mongo::connect(env).await?;
        Ok(Self {
            users: Users::new(&database, clock.clone()),
            codes: ActivationCodes::new(&database, clock.clone()),
            passwords: Passwords::from_env(env)?,
            rate_limiter: RateLimiter::new(&database, clock.clone()),
            security_log: SecurityLog::from_env(env, "activation", clock.clone())?,
            migration: MigrationCheck::new(&database),
            verifier: TokenVerifier::from_env(env, clock)?,
        })
    }
}

pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/activation/verify", post(verify::verify))
        .route("/activation/reset-password", post(reset_password::reset_password))
        .route("/activation/codes", post(codes::issue))
        .with_state(state)
}

/// The OpenAPI description of the routes.
#[derive(OpenApi)]
#[openapi(paths(verify::verify, reset_password::reset_password, codes::issue,))]
pub struct Api;
