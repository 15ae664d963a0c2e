//! Speech over HTTP: <https://elevenlabs.io/docs/api-reference/text-to-speech/convert>.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::account::{Account, Synthesis, SynthesisPermit, random_id};
use super::error::{ApiError, problem};
use super::models::Model;
use super::speech::{self, Format};

/// The number of pieces in which the speech is sent.
const CHUNKS: usize = 5;

/// The query of a synthesis.
#[derive(Deserialize)]
pub(super) struct Options {
    output_format: Option<String>,
    enable_logging: Option<String>,
}

/// `POST /v1/text-to-speech/{voice_id}`, and the same with `/stream`: both respond in chunks.
pub(super) async fn synthesize(
    State(account): State<Arc<Account>>,
    Path(voice_id): Path<String>,
    Query(options): Query<Options>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let request = SynthesisRequest::parse(&headers, &body)?;
    account.authorize(&headers)?;
    let output_format = options.output_format.unwrap_or_else(|| "mp3_44100_128".to_owned());
    let format = Format::parse(&output_format)?;
    if account.voice(&voice_id)?.requires_verification {
        return Err(ApiError::voice_needs_verification());
    }
    let model = Model::find(&request.model_id)?;
    let characters = request.text.chars().count();
    if characters > model.max_characters {
        return Err(ApiError::text_too_long(characters, model.max_characters));
    }
    let cost = model.cost(characters);
    let speed = request.speed();
    let synthesis = Synthesis {
        voice_id: voice_id.clone(),
        text: request.text.clone(),
        model_id: request.model_id,
        voice_settings: request.voice_settings,
        language_code: request.language_code,
        output_format,
        cost,
    };
    let history_item_id = (options.enable_logging.as_deref() != Some("false")).then(random_id);
    let permit = account.start_synthesis(model, synthesis, history_item_id.as_deref())?;

    let text = request.text;
    let rendering = spawn_blocking(move || speech::render(&voice_id, &text, speed, format));
    // Concurrently: the delay is the whole wait, not added to the rendering.
    let (audio, ()) = tokio::join!(rendering, sleep(account.delays().first_byte));
    let audio = Bytes::from(audio.expect("rendering speech does not panic"));

    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert("request-id", text_value(&random_id()));
    if let Some(id) = history_item_id {
        headers.insert("history-item-id", text_value(&id));
    }
    headers.insert("character-cost", HeaderValue::from(cost));
    headers.insert("current-concurrent-requests", HeaderValue::from(permit.current));
    headers.insert("maximum-concurrent-requests", HeaderValue::from(permit.maximum));
    *response.body_mut() = in_chunks(audio, permit);
    Ok(response)
}

fn text_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("letters and digits")
}

/// The permit is held until the last chunk is sent.
fn in_chunks(audio: Bytes, permit: SynthesisPermit) -> Body {
    let size = audio.len().div_ceil(CHUNKS).max(1);
    let starts: Vec<usize> = (0..audio.len()).step_by(size).collect();
    Body::from_stream(futures::stream::iter(starts.into_iter().map(move |at| {
        let _held = &permit;
        Ok::<_, Infallible>(audio.slice(at..audio.len().min(at + size)))
    })))
}

/// The JSON body, validated.
struct SynthesisRequest {
    text: String,
    model_id: String,
    language_code: Option<String>,
    voice_settings: Option<Value>,
}

impl SynthesisRequest {
    fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, ApiError> {
        let body = json_object(headers, body)?;
        let mut problems = Vec::new();
        if !body.contains_key("text") {
            problems.push(problem("missing", &["body", "text"], "Field required", &json!(body)));
        }
        let mut string = |name: &str| match body.get(name) {
            None => None,
            Some(Value::Null) if name != "text" => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => {
                problems.push(problem(
                    "string_type",
                    &["body", name],
                    "Input should be a valid string",
                    other,
                ));
                None
            }
        };
        let (text, model_id, language_code) = (string("text"), string("model_id"), string("language_code"));
        let seed = body.get("seed").filter(|seed| !seed.is_null());
        if let Some(seed) = seed
            && seed.as_u64().is_none_or(|seed| seed > u64::from(u32::MAX))
        {
            let message = "Input should be an integer between 0 and 4294967295";
            problems.push(problem("int_type", &["body", "seed"], message, seed));
        }
        let voice_settings = body.get("voice_settings").filter(|settings| !settings.is_null());
        if let Some(settings) = voice_settings {
            check_settings(settings, &mut problems);
        }
        match text {
            Some(text) if problems.is_empty() => Ok(Self {
                text,
                model_id: model_id.unwrap_or_else(|| "eleven_multilingual_v2".to_owned()),
                language_code,
                voice_settings: voice_settings.cloned(),
            }),
            _ => Err(ApiError::invalid(problems)),
        }
    }

    fn speed(&self) -> f64 {
        let speed = self.voice_settings.as_ref().and_then(|settings| settings.get("speed"));
        speed.and_then(Value::as_f64).unwrap_or(1.0)
    }
}

fn json_object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let parsed = if content_type.contains("json") {
        serde_json::from_slice(body).map_err(|_| {
            ApiError::invalid(vec![problem("json_invalid", &["body", "0"], "JSON decode error", &json!({}))])
        })?
    } else {
        // The vendor does not parse other types, and text is not an object.
        json!(String::from_utf8_lossy(body))
    };
    match parsed {
        Value::Object(fields) => Ok(fields),
        other => {
            let message = "Input should be a valid dictionary or object to extract fields from";
            Err(ApiError::invalid(vec![problem("model_attributes_type", &["body"], message, &other)]))
        }
    }
}

fn check_settings(settings: &Value, problems: &mut Vec<Value>) {
    let Some(settings) = settings.as_object() else {
        let message = "Input should be a valid dictionary or object to extract fields from";
        problems.push(problem("model_attributes_type", &["body", "voice_settings"], message, settings));
        return;
    };
    let ranges =
        [("stability", 0.0, 1.0), ("similarity_boost", 0.0, 1.0), ("style", 0.0, 1.0), ("speed", 0.7, 1.2)];
    for (name, least, most) in ranges {
        let Some(value) = settings.get(name).filter(|value| !value.is_null()) else { continue };
        let (kind, message) = match value.as_f64() {
            None => ("float_type", "Input should be a valid number".to_owned()),
            Some(number) if number < least => {
                ("greater_than_equal", format!("Input should be greater than or equal to {least}"))
            }
            Some(number) if number > most => {
                ("less_than_equal", format!("Input should be less than or equal to {most}"))
            }
            Some(_) => continue,
        };
        problems.push(problem(kind, &["body", "voice_settings", name], &message, value));
    }
    if let Some(boost) =
        settings.get("use_speaker_boost").filter(|boost| !boost.is_null() && !boost.is_boolean())
    {
        let location = ["body", "voice_settings", "use_speaker_boost"];
        problems.push(problem("bool_type", &location, "Input should be a valid boolean", boost));
    }
}
