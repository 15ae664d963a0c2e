//! `cargo local`: serves the API, and a page that shows it, until Ctrl-C.

use std::{io, time::Duration};

use shared::{clock::Clock, env::Env};
use tests::harness::{Backend, Services, gateway, page};
use tokio::net::TcpListener;

use super::configuration;

/// As often as the schedule in `template.yaml`.
const SWEEP_INTERVAL: Duration = Duration::from_mins(5);

pub async fn serve() -> Result<(), String> {
    let env = configuration::load_env()?;
    configuration::init_logs(&env, "info");
    let listener = listen(&env).await?;
    let folder = configuration::data_folder(&env);
    let _lock = configuration::lock_data_folder(&folder)?;
    let key = configuration::load_or_create_signing_key(&folder)?;

    println!("Starting New Visions (data in {}):", folder.display());
    let services = configuration::start(env, Some(folder), &key).await?;
    let backend = Backend::start(&services.env, &Clock::system()).await?;
    let code = backend.activation_code().await.map_err(|error| database_error(&services, &error))?;

    let url = listener.local_addr().map(|address| format!("http://{address}")).unwrap_or_default();
    println!(
        r#"
Serving the API on {url} (Ctrl-C stops it). A fresh activation code: {code}

  In a browser: {url}/#code={code}
  By hand:

  curl -s {url}/auth/register -H 'content-type: application/json' \
    -d '{{"username":"ada","email":"ada@example.com","password":"correct horse battery staple","activationCode":"{code}"}}'
"#,
        code = code.as_str(),
    );

    let (stop, stopped) = tokio::sync::oneshot::channel();
    let routes = backend.routes.clone().merge(page::routes());
    let server = tokio::spawn(gateway::serve(listener, routes, async {
        let _ = stopped.await;
    }));
    tokio::select! {
        asked = configuration::shutdown_signal() => asked?,
        why = sweep_regularly(&services, &backend) => return Err(why),
    }
    println!("Stopping: waiting for the requests in progress (Ctrl-C again aborts them).");
    let _ = stop.send(());
    tokio::select! {
        _ = server => {}
        _ = configuration::shutdown_signal() => {}
    }
    Ok(())
}

/// Sweeps on schedule. Returns only when the database has stopped, with the reason.
async fn sweep_regularly(services: &Services, backend: &Backend) -> String {
    let mut sweeps = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        sweeps.tick().await;
        if let Err(error) = backend.sweep().await {
            tracing::warn!(%error, "the sweep failed");
        }
        if let Some(why) = services.mongodb.stopped() {
            return why;
        }
    }
}

/// Binds the port before anything slow is started.
async fn listen(env: &Env) -> Result<TcpListener, String> {
    let port: u16 =
        env.parse_or("PORT", 9000).map_err(|_| String::from("PORT must be a number from 1 to 65535."))?;
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "Port {port} is in use: stop the other program, or choose another port, such as PORT={} cargo local.",
            port.checked_add(1).unwrap_or(9000)
        ),
        io::ErrorKind::PermissionDenied => {
            format!("Port {port} needs privileges: choose another one, such as PORT=9000 cargo local.")
        }
        _ => format!("Port {port} cannot be used: {error}."),
    })
}

fn database_error(services: &Services, error: &shared::error::Error) -> String {
    services.mongodb.stopped().unwrap_or_else(|| format!("MongoDB does not answer: {error}"))
}
