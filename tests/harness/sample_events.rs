//! The sample events of `events/`, made whole: what cannot be written into a file beforehand (tokens, codes, a
//! recording) is put in by asking a running backend, as its client.
//!
//! Every event is for one user, [`USERNAME`], who is signed up, made an admin and given a recording where that is
//! missing. So each event can be sent by itself, in any order.

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use mongodb::bson::{Document, doc, oid::ObjectId};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::Backend;

/// The user of all events.
const USERNAME: &str = "ada";
/// The user's address in the events.
const EMAIL: &str = "ada@example.com";
/// The user's password in the events.
const PASSWORD: &str = "correct horse battery staple";
/// What the events call their recording.
const MIME_TYPE: &str = "audio/webm";

/// The event with real values in place of `ACCESS_TOKEN`, `REFRESH_TOKEN`, `ACTIVATION_CODE`, `UPLOAD_KEY` and
/// `AUDIO_BASE64`, so that the functions on `backend`'s services answer it with success.
///
/// Two events succeed once per user: a sign-up, and a reset of the password. Errors are sentences for a person.
pub async fn whole(backend: &Backend, event: &str, recording: &[u8]) -> Result<String, String> {
    let route = route_of(event)?;
    let mut event = event.to_owned();
    // The two that come before there is a user.
    if ["POST /auth/register", "POST /activation/verify"].contains(&route.as_str()) {
        return Ok(event.replace("ACTIVATION_CODE", &fresh_code(backend).await?));
    }
    if ["ACCESS_TOKEN", "REFRESH_TOKEN", PASSWORD].iter().any(|part| event.contains(part)) {
        let session = sign_in(backend).await?;
        if route == "POST /perform" {
            ensure_recording(backend, &session, recording).await?;
        }
        if event.contains("UPLOAD_KEY") {
            event = event.replace("UPLOAD_KEY", &uploaded(backend, &session, recording).await?);
        }
        if event.contains("ACTIVATION_CODE") {
            event = event.replace("ACTIVATION_CODE", &resetting_code(backend, &session).await?);
        }
        event = event.replace("ACCESS_TOKEN", &session.access_token);
        event = event.replace("REFRESH_TOKEN", &session.refresh_token);
    }
    Ok(event.replace("AUDIO_BASE64", &STANDARD.encode(recording)))
}

/// The route that an HTTP event is for, such as `GET /users/{user_id}`; empty for other events.
fn route_of(event: &str) -> Result<String, String> {
    let event: Value =
        serde_json::from_str(event).map_err(|error| format!("The event is not JSON: {error}."))?;
    Ok(event["routeKey"].as_str().unwrap_or_default().to_owned())
}

async fn fresh_code(backend: &Backend) -> Result<String, String> {
    let code = backend.activation_code().await;
    code.map(|code| code.as_str().to_owned()).map_err(|error| format!("There is no activation code: {error}"))
}

struct Session {
    user_id: ObjectId,
    access_token: String,
    refresh_token: String,
}

/// A fresh session of the user, who is signed up if need be.
async fn sign_in(backend: &Backend) -> Result<Session, String> {
    let login = json!({ "username": USERNAME, "password": PASSWORD });
    let (mut status, mut answer) = post(backend, "/auth/login", None, &login).await?;
    if status == StatusCode::UNAUTHORIZED {
        let register = json!({
            "username": USERNAME, "email": EMAIL, "password": PASSWORD, "activationCode": fresh_code(backend).await?,
        });
        (status, answer) = post(backend, "/auth/register", None, &register).await?;
    }
    if status == StatusCode::CONFLICT {
        return Err(format!(
            "The events are for {USERNAME} ({EMAIL}) with the password \"{PASSWORD}\"; here, that account is another one."
        ));
    }
    let session = succeeded("sign in", status, &answer)?;
    let text = |member: &str| session[member].as_str().unwrap_or_default().to_owned();
    let user_id = ObjectId::parse_str(text("user_id")).map_err(|error| error.to_string())?;
    backend
        .make_admin(user_id)
        .await
        .map_err(|error| format!("{USERNAME} cannot be made an admin: {error}"))?;
    Ok(Session { user_id, access_token: text("access_token"), refresh_token: text("refresh_token") })
}

/// The code that activated the user's account: the only one that resets its password.
async fn resetting_code(backend: &Backend, session: &Session) -> Result<String, String> {
    let users = backend.database.collection::<Document>("users");
    let unspent = doc! { "_id": session.user_id, "password_reset_at": { "$exists": false } };
    let user =
        users.find_one(unspent).await.map_err(|error| format!("The database cannot be read: {error}."))?;
    user.and_then(|user| user.get_str("activation_code").ok().map(str::to_owned))
        .ok_or_else(|| format!("{USERNAME}'s password was reset before, which an activation code does once."))
}

async fn ensure_recording(backend: &Backend, session: &Session, recording: &[u8]) -> Result<(), String> {
    let meta = request(Method::GET, "/users/me/voice/meta", Some(session), Body::empty())?;
    let (status, meta) = send(backend, meta).await?;
    if succeeded("look at the voice", status, &meta)?["hasSample"] == true {
        return Ok(());
    }
    let mut upload = request(Method::POST, "/users/me/voice", Some(session), recording.to_vec().into())?;
    upload.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(MIME_TYPE));
    let (status, answer) = send(backend, upload).await?;
    succeeded("upload the recording", status, &answer).map(drop)
}

/// The key of a recording that was uploaded to S3 and is not adopted yet.
async fn uploaded(backend: &Backend, session: &Session, recording: &[u8]) -> Result<String, String> {
    let offer = json!({ "mime_type": MIME_TYPE, "bytes": recording.len() });
    let (status, offer) = post(backend, "/users/me/voice/upload", Some(session), &offer).await?;
    let offer = succeeded("ask for an upload", status, &offer)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut put = reqwest::Client::new().put(text(&offer["upload_url"])).body(recording.to_vec());
    for (name, value) in offer["headers"].as_object().into_iter().flatten() {
        put = put.header(name, text(value));
    }
    let refused = |why: reqwest::Error| format!("S3 does not take the recording: {why}.");
    put.send().await.and_then(reqwest::Response::error_for_status).map_err(refused)?;
    Ok(text(&offer["key"]))
}

async fn post(
    backend: &Backend,
    path: &str,
    session: Option<&Session>,
    body: &Value,
) -> Result<(StatusCode, Value), String> {
    send(backend, request(Method::POST, path, session, body.to_string().into())?).await
}

fn request(
    method: Method,
    path: &str,
    session: Option<&Session>,
    body: Body,
) -> Result<Request<Body>, String> {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    if let Some(session) = session {
        request = request.header("authorization", format!("Bearer {}", session.access_token));
    }
    request.body(body).map_err(|error| error.to_string())
}

async fn send(backend: &Backend, request: Request<Body>) -> Result<(StatusCode, Value), String> {
    let answer = match backend.routes.clone().oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, serde_json::from_slice(&body).map_err(|error| error.to_string())?))
}

fn succeeded<'a>(what: &str, status: StatusCode, answer: &'a Value) -> Result<&'a Value, String> {
    if status.is_success() {
        return Ok(answer);
    }
    Err(format!("{USERNAME} cannot {what}: {}", answer["detail"].as_str().unwrap_or(status.as_str())))
}
