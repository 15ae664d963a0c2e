//! `cargo ops smoke --url URL`: the main job against a deployed API, as a new user: register, upload a recording, perform,
//! delete the account. The first command after a deployment.
//!
//! Each step is printed with its time. The account is deleted whatever fails before; only the used activation code
//! remains.

use std::{
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use shared::{
    activation_codes::{ActivationCode, ActivationCodes},
    http_client,
};

use crate::{Deployment, Failure, no_client};

/// Longer than a gateway waits (30 s), so that its answer is seen.
const TIMEOUT: Duration = Duration::from_mins(1);

/// 34 seconds of speech in the public domain; see the README beside it.
const RECORDING: &[u8] = include_bytes!("../../../tests/fixtures/recordings/speech-34s.webm");

#[derive(Args)]
pub struct Smoke {
    /// The API, such as the stack's output `ApiUrl`.
    #[arg(long)]
    url: String,
    /// An unused activation code. Without it, one is issued in the database that the environment names.
    #[arg(long)]
    pub code: Option<String>,
    /// Perform in the recording's voice as well, which uses up one of the provider's voice creations.
    #[arg(long)]
    clone: bool,
    /// The recording to upload, 30 seconds of speech or more. Without it, one that this program contains.
    #[arg(long, value_name = "FILE")]
    recording: Option<PathBuf>,
}

impl Smoke {
    /// `deployment` is needed without a code.
    pub async fn run(
        &self,
        deployment: Option<&Deployment>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let recording = match &self.recording {
            None => RECORDING.to_vec(),
            Some(file) => std::fs::read(file)
                .map_err(|error| Failure::Other(format!("{} cannot be read: {error}.", file.display())))?,
        };
        let mut api = Api {
            http: http_client::client().map_err(no_client)?,
            base: self.url.trim_end_matches('/').to_owned(),
            token: String::new(),
            out,
        };
        api.send("check the health", Method::GET, "/health", |request| request).await?;
        let code = match (&self.code, deployment) {
            (Some(code), _) => code.clone(),
            (None, Some(deployment)) => issue_code(deployment).await?,
            (None, None) => return Err(Failure::Other(String::from("There is no activation code."))),
        };
        let username = format!("smoke-{}", random()?.to_lowercase());
        let password = format!("{} {}", random()?, random()?);
        let registration = json!({
            "username": username, "email": format!("{username}@example.com"), "password": password,
            "activationCode": code,
        });
        let register = |request: RequestBuilder| request.json(&registration);
        let user = api.send("register with a fresh code", Method::POST, "/auth/register", register).await?;
        api.token = text(&user, "access_token");

        let performed = api.perform_all(recording, self.clone).await;
        let delete = |request: RequestBuilder| request.json(&json!({ "password": password }));
        let deleted = api.send("delete the account", Method::DELETE, "/users/me", delete).await;
        let deleted = deleted.map_err(|failure| {
            Failure::Other(format!(
                "{failure} The account {username} still exists; delete it in the database."
            ))
        });
        performed.and(deleted)?;
        writeln!(api.out, "The main job works ({:.1} s).", started.elapsed().as_secs_f64())?;
        Ok(())
    }
}

async fn issue_code(deployment: &Deployment) -> Result<String, Failure> {
    deployment.require_migrated().await?;
    let code = ActivationCode::random()?;
    let codes = ActivationCodes::new(&deployment.database, deployment.clock.clone());
    codes.issue(std::slice::from_ref(&code)).await?;
    Ok(code.as_str().to_owned())
}

/// 55 random bits as 11 letters and digits.
fn random() -> Result<String, Failure> {
    Ok(ActivationCode::random()?.as_str().to_owned())
}

fn text(body: &Value, member: &str) -> String {
    body[member].as_str().unwrap_or_default().to_owned()
}

struct Api<'a> {
    http: Client,
    base: String,
    /// The access token, once there is one.
    token: String,
    out: &'a mut (dyn Write + Send),
}

impl Api<'_> {
    async fn perform_all(&mut self, recording: Vec<u8>, with_clone: bool) -> Result<(), Failure> {
        let upload = |request: RequestBuilder| request.header("content-type", "audio/webm").body(recording);
        self.send("upload a recording", Method::POST, "/users/me/voice", upload).await?;
        self.perform("perform with the stock voice", "default", "default_voice").await?;
        if with_clone {
            let performed = self.perform("perform with its own voice", "own", "ephemeral_clone").await?;
            if performed["receipt"]["clone_deleted_at"].is_null() {
                return Err(Failure::Other(String::from("The clone's deletion is not confirmed.")));
            }
        }
        Ok(())
    }

    async fn perform(&mut self, what: &str, voice: &str, source: &str) -> Result<Value, Failure> {
        let body = json!({ "routine_type": "cards", "value": "Queen of Hearts", "voice": voice });
        let performed = self.send(what, Method::POST, "/perform", |request| request.json(&body)).await?;
        let mp3 = STANDARD.decode(text(&performed, "audio_base64")).unwrap_or_default();
        // An ID3 tag, or the eleven bits that begin a frame.
        let is_mp3 =
            mp3.starts_with(b"ID3") || matches!(mp3.as_slice(), [0xff, second, ..] if *second >= 0xe0);
        if !is_mp3 || performed["voiceSource"] != source {
            return Err(Failure::Other(format!("Could not {what}: the response has no MP3 of that voice.")));
        }
        writeln!(
            self.out,
            "  {} bytes of MP3; the thought is from {}; {} characters charged",
            mp3.len(),
            text(&performed, "thoughtSource"),
            performed["charsUsedEffective"]
        )?;
        Ok(performed)
    }

    /// One step, with its time. Returns the JSON body, or null for none.
    async fn send(
        &mut self,
        what: &str,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value, Failure> {
        let started = Instant::now();
        let mut request = self.http.request(method, format!("{}{path}", self.base)).timeout(TIMEOUT);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        let failed = |why: String| Failure::Other(format!("Could not {what}: {why}"));
        let no_response = |error: reqwest::Error| failed(format!("{}.", reason(&error)));
        let response = with(request).send().await.map_err(no_response)?;
        let status = response.status();
        let body = response.bytes().await.map_err(no_response)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() {
            let (code, detail) = (text(&body, "code"), text(&body, "detail"));
            return Err(failed(format!(
                "{status} {code} {detail} Request id: {}.",
                text(&body, "request_id")
            )));
        }
        writeln!(self.out, "{what:<32}{:>6.1} s", started.elapsed().as_secs_f64())?;
        Ok(body)
    }
}

/// Why there was no response, in words.
fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no response in time"
    } else if error.is_builder() {
        "the URL is not valid"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}
