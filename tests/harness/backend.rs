//! The functions' own routers, side by side in one process, and their sweep.

use axum::Router;
use mongodb::{
    Database,
    bson::{doc, oid::ObjectId},
};
use shared::{
    activation_codes::{ActivationCode, ActivationCodes},
    clock::Clock,
    env::Env,
    error::Error,
    http, mongo,
};
use sweep::SweepReport;

/// The functions that serve HTTP.
pub const FUNCTIONS: [&str; 6] = ["auth", "users", "activation", "thought", "perform", "usage"];

/// The routes of one function alone, built as its program does.
///
/// # Panics
/// If there is no such function.
pub async fn router(function: &str, env: &Env, clock: &Clock) -> Result<Router, lambda_http::Error> {
    let clock = clock.clone();
    Ok(match function {
        "auth" => auth::router(auth::AppState::from_env(env, clock).await?),
        "users" => users::router(users::AppState::from_env(env, clock).await?),
        "activation" => activation::router(activation::AppState::from_env(env, clock).await?),
        "thought" => thought::router(thought::AppState::from_env(env, clock).await?),
        "perform" => perform::router(perform::AppState::from_env(env, clock).await?),
        "usage" => usage::router(usage::AppState::from_env(env, clock).await?),
        _ => panic!("{function} serves no HTTP"),
    })
}

/// The whole backend.
pub struct Backend {
    /// Every route of every function, with the functions' common edge.
    pub routes: Router,
    /// The database that the functions use.
    pub database: Database,
    sweep: sweep::AppState,
    codes: ActivationCodes,
}

impl Backend {
    /// Builds every function as its bootstrap does, and makes the indexes.
    pub async fn start(env: &Env, clock: &Clock) -> Result<Self, String> {
        let whole = async {
            let mut routes = Router::new();
            for function in FUNCTIONS {
                routes = routes.merge(router(function, env, clock).await?);
            }
            let database = mongo::connect(env).await?;
            mongo::ensure_indexes(&database).await?;
            Ok::<_, lambda_http::Error>(Self {
                routes: http::with_common_layers(routes, env)?,
                sweep: sweep::AppState::from_env(env, clock.clone()).await?,
                codes: ActivationCodes::new(&database, clock.clone()),
                database,
            })
        };
        whole.await.map_err(|error| match error.downcast_ref::<mongodb::error::Error>() {
            // The driver's own text describes its inner state.
            Some(error) => format!("MongoDB cannot be used: {}.", mongo::redacted(error)),
            None => format!("The backend would not start: {error}."),
        })
    }

    /// One sweep.
    pub async fn sweep(&self) -> Result<SweepReport, Error> {
        sweep::sweep(&self.sweep, None).await
    }

    /// A fresh activation code, as an operator would make one.
    pub async fn activation_code(&self) -> Result<ActivationCode, Error> {
        let code = ActivationCode::random()?;
        self.codes.issue(std::slice::from_ref(&code)).await?;
        Ok(code)
    }

    /// Gives a user the admin role, as an operator would.
    pub async fn make_admin(&self, user_id: ObjectId) -> Result<(), Error> {
        let users = self.database.collection::<mongodb::bson::Document>("users");
        users.update_one(doc! { "_id": user_id }, doc! { "$set": { "role": "admin" } }).await?;
        Ok(())
    }
}
