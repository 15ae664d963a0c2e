//! Registration, login and sessions. The only function with the key that signs access tokens.

mod login;
mod logout;
mod refresh;
mod register;
mod session;
mod tokens;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use shared::{
    activation_codes::ActivationCodes,
    clock::Clock,
    env::Env,
    migration::MigrationCheck,
    mongo::{self, Indexes},
    password::Passwords,
    rate_limit::RateLimiter,
    security_log::SecurityLog,
    session::TokenVerifier,
    users::Users,
};
use utoipa::OpenApi;

use tokens::TokenSigner;

#[derive(Clone, FromRef)]
pub struct AppState {
    users: Users,
    codes: ActivationCodes,
    passwords: Passwords,
    rate_limiter: RateLimiter,
    signer: TokenSigner,
    security_log: SecurityLog,
    indexes: Indexes,
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
            migration: MigrationCheck::new(&database),
            security_log: SecurityLog::from_env(env, "auth", clock.clone())?,
            indexes: Indexes::new(&database),
            signer: TokenSigner::from_env(env, clock.clone())?,
            verifier: TokenVerifier::from_env(env, clock)?,
        })
    }
}

pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/auth/register", post(register::register))
        .route("/auth/login", post(login::login))
        .route("/auth/refresh", post(refresh::refresh))
        .route("/auth/logout", post(logout::logout))
        .route("/auth/session", get(session::session))
        .with_state(state)
}

/// The OpenAPI description of the routes.
#[derive(OpenApi)]
#[openapi(paths(register::register, login::login, refresh::refresh, logout::logout, session::session,))]
pub struct Api;
