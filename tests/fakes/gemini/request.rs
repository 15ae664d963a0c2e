//! A request for text: parsed as strictly as Google's JSON parser does, with the response in the format it asks for.
//!
//! Field names may be in camelCase or `snake_case`; an unknown name is an error with its path.

use serde_json::{Map, Value, json};

use super::error::{ApiError, ratings};
use super::with_usage;

/// What a `generateContent` body asks for.
pub(super) struct Request {
    /// The texts of the last turn, joined.
    pub user_text: String,
    /// The last of these texts.
    pub prompt: String,
    pub system_instruction: Option<String>,
    /// `generationConfig` as it came; an empty object when it did not.
    pub generation_config: Value,
    /// `safetySettings`, as a list.
    pub safety_settings: Value,
}

/// The fields of each message, in `snake_case`: <https://ai.google.dev/api/generate-content#request-body>.
const BODY: &[&str] = &[
    "model",
    "contents",
    "system_instruction",
    "tools",
    "tool_config",
    "safety_settings",
    "generation_config",
    "cached_content",
    "service_tier",
    "store",
];
const CONTENT: &[&str] = &["role", "parts"];
const PART: &[&str] = &[
    "text",
    "thought",
    "thought_signature",
    "part_metadata",
    "inline_data",
    "file_data",
    "function_call",
    "function_response",
    "executable_code",
    "code_execution_result",
    "video_metadata",
    "media_resolution",
];
const GENERATION_CONFIG: &[&str] = &[
    "stop_sequences",
    "response_mime_type",
    "response_schema",
    "response_json_schema",
    "response_modalities",
    "candidate_count",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "response_logprobs",
    "logprobs",
    "enable_enhanced_civic_answers",
    "speech_config",
    "thinking_config",
    "image_config",
    "media_resolution",
];
const THINKING_CONFIG: &[&str] = &["include_thoughts", "thinking_budget", "thinking_level"];
const SAFETY_SETTING: &[&str] = &["category", "threshold"];

const CATEGORIES: &[&str] = &[
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_CIVIC_INTEGRITY",
];
const THRESHOLDS: &[&str] = &[
    "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
    "BLOCK_LOW_AND_ABOVE",
    "BLOCK_MEDIUM_AND_ABOVE",
    "BLOCK_ONLY_HIGH",
    "BLOCK_NONE",
    "OFF",
];
const THINKING_LEVELS: &[&str] = &["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH"];

impl Request {
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let body: Value = serde_json::from_slice(body).map_err(|_| {
            ApiError::invalid_argument("Invalid JSON payload received. Unable to parse the body.")
        })?;
        let mut check = Check::default();
        check.body(&body);
        if !check.violations.is_empty() {
            return Err(ApiError::bad_request(&check.violations));
        }
        let contents = list(&body, "contents");
        let Some(last) = contents.last() else {
            return Err(ApiError::invalid_argument(
                "* GenerateContentRequest.contents: contents is not specified\n",
            ));
        };
        if contents.iter().any(|content| !matches!(content["role"].as_str(), None | Some("user" | "model"))) {
            return Err(ApiError::invalid_argument("Please use a valid role: user, model."));
        }
        let request = Self {
            user_text: texts(last),
            prompt: parts(last).last().and_then(|part| part["text"].as_str()).unwrap_or_default().to_owned(),
            system_instruction: field(&body, "system_instruction").map(texts),
            generation_config: field(&body, "generation_config").cloned().unwrap_or_else(|| json!({})),
            safety_settings: list(&body, "safety_settings").into(),
        };
        let thinking = request.thinking_config().unwrap_or(&Value::Null);
        if field(thinking, "thinking_budget").is_some() && field(thinking, "thinking_level").is_some() {
            return Err(ApiError::invalid_argument(
                "You can only set only one of thinking budget and thinking level.",
            ));
        }
        Ok(request)
    }

    pub fn thinking_config(&self) -> Option<&Value> {
        field(&self.generation_config, "thinking_config")
    }

    /// The whole response around `text`, truncated at `maxOutputTokens`.
    pub fn response(&self, model: &str, text: &str) -> Value {
        let config = &self.generation_config;
        let wants_json = field(config, "response_mime_type").is_some_and(|mime| mime == "application/json");
        let text = if wants_json { self.in_schema(text).to_string() } else { text.to_owned() };
        let tokens = field(config, "max_output_tokens").and_then(Value::as_u64).unwrap_or(8_192);
        let longest = usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(4);
        let cut: String = text.chars().take(longest).collect();
        let thoughts = self.thinking_config().and_then(|config| field(config, "include_thoughts"));
        let mut parts = Vec::new();
        if thoughts == Some(&Value::Bool(true)) {
            parts.push(json!({ "text": "I should write one short sentence.", "thought": true }));
        }
        parts.push(json!({ "text": cut }));
        let candidate = json!({
            "content": { "parts": parts, "role": "model" },
            "finishReason": if cut == text { "STOP" } else { "MAX_TOKENS" },
            "index": 0,
            "safetyRatings": ratings("NEGLIGIBLE", false),
        });
        with_usage(json!({ "candidates": [candidate] }), model, &self.user_text, &cut)
    }

    /// The text under every name of the schema's properties, or as a JSON string when there are none.
    fn in_schema(&self, text: &str) -> Value {
        let config = &self.generation_config;
        let schema = field(config, "response_schema").or_else(|| field(config, "response_json_schema"));
        match schema.and_then(|schema| schema["properties"].as_object()) {
            Some(properties) => {
                properties.keys().map(|name| (name.clone(), json!(text))).collect::<Map<_, _>>().into()
            }
            None => json!(text),
        }
    }
}

/// Collects the violations in a body: the path in `snake_case`, and the message.
#[derive(Default)]
struct Check {
    violations: Vec<(String, String)>,
}

impl Check {
    fn body(&mut self, body: &Value) {
        self.names(body, "", BODY);
        for (at, content) in list(body, "contents").iter().enumerate() {
            self.content(content, &format!("contents[{at}]"));
        }
        if let Some(instruction) = field(body, "system_instruction") {
            self.content(instruction, "system_instruction");
        }
        if let Some(config) = field(body, "generation_config") {
            self.names(config, "generation_config", GENERATION_CONFIG);
            if let Some(thinking) = field(config, "thinking_config") {
                let path = "generation_config.thinking_config";
                self.names(thinking, path, THINKING_CONFIG);
                self.enum_value(thinking, path, "thinking_level", THINKING_LEVELS);
            }
        }
        for (at, setting) in list(body, "safety_settings").iter().enumerate() {
            let path = format!("safety_settings[{at}]");
            self.names(setting, &path, SAFETY_SETTING);
            self.enum_value(setting, &path, "category", CATEGORIES);
            self.enum_value(setting, &path, "threshold", THRESHOLDS);
        }
    }

    fn content(&mut self, content: &Value, path: &str) {
        self.names(content, path, CONTENT);
        for (at, part) in parts(content).iter().enumerate() {
            let path = format!("{path}.parts[{at}]");
            self.names(part, &path, PART);
            if part.get("text").is_some_and(|text| !text.is_string()) {
                let text = &part["text"];
                self.violations
                    .push((path.clone(), format!("Invalid value at '{path}.text' (TYPE_STRING), {text}")));
            }
        }
    }

    fn names(&mut self, message: &Value, path: &str, known: &[&str]) {
        let Some(fields) = message.as_object() else {
            let wrong = format!("Invalid value at '{path}' (type.googleapis.com), {message}");
            self.violations.push((path.to_owned(), wrong));
            return;
        };
        for name in fields.keys().filter(|name| !known.contains(&snake(name).as_str())) {
            let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
            let wrong =
                format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.");
            self.violations.push((path.to_owned(), wrong));
        }
    }

    fn enum_value(&mut self, message: &Value, path: &str, name: &str, known: &[&str]) {
        let Some(value) = field(message, name) else { return };
        let fits = value.as_str().is_some_and(|word| known.contains(&word.to_uppercase().as_str()));
        if !fits {
            let wrong = format!("Invalid value at '{path}.{name}' (TYPE_ENUM), {value}");
            self.violations.push((format!("{path}.{name}"), wrong));
        }
    }
}

/// A field under either spelling of its name; `null` is absent.
fn field<'a>(message: &'a Value, name: &str) -> Option<&'a Value> {
    let fields = message.as_object()?;
    fields.iter().find(|(key, value)| snake(key) == name && !value.is_null()).map(|(_, value)| value)
}

/// A repeated field. Google's parser also takes a single message for a list of one.
fn list<'a>(message: &'a Value, name: &str) -> &'a [Value] {
    match field(message, name) {
        None => &[],
        Some(Value::Array(items)) => items,
        Some(single) => std::slice::from_ref(single),
    }
}

fn parts(content: &Value) -> &[Value] {
    list(content, "parts")
}

fn texts(content: &Value) -> String {
    parts(content).iter().filter_map(|part| part["text"].as_str()).collect()
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
