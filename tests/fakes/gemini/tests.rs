//! The fake over HTTP.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::super::faults::{Fault, Operation};
use super::{Config, Gemini};

const PROMPT: &str = r#"{"topic":"playing cards","value":"Queen of Hearts","language":"es"}"#;

async fn start() -> Gemini {
    Gemini::start(Config::default()).await.expect("a free port")
}

fn ask(gemini: &Gemini, model: &str, body: &Value) -> RequestBuilder {
    let url = format!("{}/v1beta/models/{model}:generateContent", gemini.url());
    Client::new().post(url).header("x-goog-api-key", Config::default().api_key).json(body)
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

fn prompt() -> Value {
    json!({ "contents": [{ "role": "user", "parts": [{ "text": PROMPT }] }] })
}

#[tokio::test]
async fn request_fields_in_both_spellings_and_both_versions_are_accepted() {
    let gemini = start().await;
    let mut camel = prompt();
    camel["systemInstruction"] = json!({ "parts": [{ "text": "You just woke up." }] });
    camel["generationConfig"] =
        json!({ "maxOutputTokens": 200, "thinkingConfig": { "thinkingLevel": "minimal" } });
    let mut snake = prompt();
    let safety = json!([{ "category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH" }]);
    camel["safetySettings"] = safety.clone();
    snake["safety_settings"] = safety.clone();
    snake["system_instruction"] = json!({ "parts": { "text": "You just woke up." } });
    snake["generation_config"] =
        json!({ "max_output_tokens": 200, "thinking_config": { "thinking_level": "LOW" } });

    let (status, first) = answer(ask(&gemini, "gemini-3.5-flash-lite", &camel)).await;
    assert_eq!(status, 200);
    let text = first["candidates"][0]["content"]["parts"][0]["text"].as_str().expect("a text");
    assert!(text.contains("Queen of Hearts") && text.contains("desp"), "{text}");
    assert_eq!(first["modelVersion"], "gemini-3.5-flash-lite");
    assert!(first["usageMetadata"]["totalTokenCount"].is_u64() && first["responseId"].is_string());

    let by_query = format!(
        "{}/v1/models/gemini-3.8-flash:generateContent?key={}",
        gemini.url(),
        Config::default().api_key
    );
    assert_eq!(answer(Client::new().post(by_query).json(&snake)).await.0, 200);
    for prompt in gemini.state().prompts {
        assert_eq!(prompt.user_text, PROMPT);
        assert_eq!(prompt.system_instruction.as_deref(), Some("You just woke up."));
        assert!(prompt.thinking_config.is_some());
        assert_eq!(prompt.safety_settings, safety);
    }
    assert_eq!(gemini.state().prompts.len(), 2);
}

#[tokio::test]
async fn unknown_fields_are_rejected_with_name_and_path() {
    let gemini = start().await;
    let mut body = prompt();
    body["prompt"] = json!("hello");
    body["generationConfig"] = json!({ "max_tokens": 5, "thinkingConfig": { "thinkingLevel": "SOME" } });
    body["safetySettings"] = json!([{ "category": "HARM_CATEGORY_FUN", "threshold": "OFF" }]);
    let (status, error) = answer(ask(&gemini, "gemini-3.5-flash-lite", &body)).await;
    assert_eq!((status, &error["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(message.contains("Unknown name \"prompt\": Cannot find field."), "{message}");
    assert!(
        message.contains("Unknown name \"max_tokens\" at 'generation_config': Cannot find field."),
        "{message}"
    );
    assert_eq!(error["error"]["details"][0]["fieldViolations"].as_array().map(Vec::len), Some(4));

    let nothing = answer(ask(&gemini, "gemini-3.5-flash-lite", &json!({ "contents": [] }))).await;
    assert_eq!(nothing.0, 400);
    assert!(gemini.state().prompts.is_empty());
}

#[tokio::test]
async fn keys_and_models_are_checked() {
    let gemini = start().await;
    let url = format!("{}/v1beta/models/gemini-3.5-flash-lite:generateContent", gemini.url());
    let (status, error) =
        answer(Client::new().post(&url).header("x-goog-api-key", "wrong").json(&prompt())).await;
    assert_eq!((status, &error["error"]["details"][0]["reason"]), (400, &json!("API_KEY_INVALID")));
    assert_eq!(answer(Client::new().post(&url).json(&prompt())).await.0, 403);
    for retired in ["gemini-1.5-flash", "gemini-2.0-flash-lite"] {
        let (status, error) = answer(ask(&gemini, retired, &prompt())).await;
        assert_eq!((status, &error["error"]["status"]), (404, &json!("NOT_FOUND")));
    }
}

#[tokio::test]
async fn text_is_truncated_at_the_tokens_and_put_into_the_schema() {
    let gemini = start().await;
    let mut body = prompt();
    body["generationConfig"] = json!({ "maxOutputTokens": 4 });
    let (_, short) = answer(ask(&gemini, "gemini-3.5-flash-lite", &body)).await;
    assert_eq!(short["candidates"][0]["finishReason"], "MAX_TOKENS");

    let schema = json!({ "type": "OBJECT", "properties": { "thought": { "type": "STRING" } } });
    body["generationConfig"] = json!({ "responseMimeType": "application/json", "responseSchema": schema });
    let (_, structured) = answer(ask(&gemini, "gemini-3.5-flash-lite", &body)).await;
    let text = structured["candidates"][0]["content"]["parts"][0]["text"].as_str().expect("a text");
    let object: Value = serde_json::from_str(text).expect("JSON in the text");
    assert!(object["thought"].as_str().is_some_and(|thought| thought.contains("Queen of Hearts")));
}

#[tokio::test]
async fn blocked_responses_have_status_200_and_errors_their_details() {
    let gemini = start().await;
    for (fault, status) in [
        (Fault::blocked_prompt(), 200),
        (Fault::blocked_response(), 200),
        (Fault::max_tokens_without_parts(), 200),
        (Fault::resource_exhausted_with_retry_info(), 429),
        (Fault::gemini_unavailable(), 503),
    ] {
        gemini.faults().next(Operation::Generate, fault);
        let (seen, body) = answer(ask(&gemini, "gemini-3.5-flash-lite", &prompt())).await;
        assert_eq!(seen, status);
        assert!(body.pointer("/candidates/0/content/parts").is_none());
    }
    assert!(gemini.state().prompts.is_empty());
}

#[tokio::test]
async fn generate_delay_is_kept() {
    let gemini = start().await;
    gemini.set_generate_delay(Duration::from_millis(100));
    answer(ask(&gemini, "gemini-3.5-flash-lite", &prompt())).await;
    gemini.requests().finished().await;
    assert!(gemini.requests().spans()[0].duration() >= Duration::from_millis(100));
}
