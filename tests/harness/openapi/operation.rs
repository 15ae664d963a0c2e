//! One operation, completed: its sentences, its parameters, its examples, and everything that it can answer.

use serde_json::{Map, Value, json};

use super::{examples, on_one_line, problems::Problems};
use crate::harness::gateway;

/// An operation of the document.
pub struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    json: &'a mut Value,
}

impl<'a> Operation<'a> {
    /// `method` in lower case, as the document has it.
    pub fn new(method: &'a str, path: &'a str, json: &'a mut Value) -> Self {
        Self { method, path, json }
    }

    /// Adds what no function says of its own.
    pub fn complete(mut self, problems: &mut Problems) {
        self.sentences();
        self.parameters();
        self.request();
        let codes = self.codes();
        let responses = self.json["responses"].as_object_mut().expect("every operation answers");
        for (status, response) in responses.iter_mut() {
            answer(self.path, status, response);
        }
        responses.extend(problems.of(&codes));
    }

    /// A summary of one sentence; the others are the description.
    fn sentences(&mut self) {
        let text = |member: &str| self.json[member].as_str().map(on_one_line).unwrap_or_default();
        let whole = on_one_line(&format!("{} {}", text("summary"), text("description")));
        let (summary, description) = whole.split_once(". ").unwrap_or((&whole, ""));
        let (summary, description) = (summary.trim_end_matches('.').to_owned(), description.to_owned());
        self.json["summary"] = summary.into();
        if description.is_empty() {
            self.json.as_object_mut().map(|operation| operation.remove("description"));
        } else {
            self.json["description"] = description.into();
        }
    }

    fn parameters(&mut self) {
        if self.path.contains("{user_id}") {
            let mut parameters = self.json["parameters"].as_array().cloned().unwrap_or_default();
            parameters.insert(0, json!({ "$ref": "#/components/parameters/user_id" }));
            self.json["parameters"] = parameters.into();
        }
    }

    /// Its bodies with examples.
    fn request(&mut self) {
        let route = format!("{} {}", self.method.to_uppercase(), self.path);
        let Some(content) = content(self.json.get_mut("requestBody")) else { return };
        for (media_type, body) in content.iter_mut() {
            if media_type == "application/json" {
                body["examples"] = examples::of(&route).into();
            } else {
                *body = bytes();
            }
        }
    }

    /// The codes of all problems that it can answer: those that its handler names, and those that come with what it
    /// takes.
    fn codes(&mut self) -> Vec<String> {
        let named = self.json.as_object_mut().and_then(|operation| operation.remove("x-codes"));
        let named: Vec<String> = named.map_or_else(Vec::new, |codes| {
            serde_json::from_value(codes).expect("x-codes is a list of words")
        });
        let mut codes = vec!["internal_error"];
        let has_body = self.json["requestBody"].is_object();
        let is_closed = self.json["security"].is_array();
        if has_body {
            codes.extend(["malformed_json", "unreadable_body", "body_too_large"]);
            codes.extend(["unsupported_media_type", "invalid_request"]);
        }
        if is_closed {
            codes.extend(["missing_token", "invalid_token"]);
        }
        if has_body || is_closed {
            codes.push("service_unavailable");
        }
        if self.path.contains("{user_id}") {
            // A path that is not UTF-8 is none.
            codes.extend(["forbidden", "not_found"]);
        }
        codes.into_iter().map(str::to_owned).chain(named).collect()
    }
}

/// Completes the answer of success.
fn answer(path: &str, status: &str, response: &mut Value) {
    let meaning = status.parse::<http::StatusCode>().ok().and_then(|status| status.canonical_reason());
    if response["description"].as_str().is_none_or(str::is_empty) {
        response["description"] = meaning.unwrap_or_default().into();
    }
    let mut headers = Map::new();
    headers.insert(String::from("X-Request-Id"), json!({ "$ref": "#/components/headers/X-Request-Id" }));
    if let Some(content) = content(Some(response)) {
        for (media_type, body) in
            content.iter_mut().filter(|(media_type, _)| *media_type != "application/json")
        {
            *body = bytes();
            let beside = |name: &&&str| name.starts_with("x-") && **name != "x-request-id";
            headers.extend(gateway::EXPOSED.iter().filter(beside).map(|name| {
                let description =
                    format!("With `{media_type}`: what the JSON says in the member of that name.");
                ((*name).to_owned(), json!({ "description": description, "schema": { "type": "string" } }))
            }));
        }
    }
    assert!(headers.len() == 1 || path == "/perform", "{path} answers with more than JSON");
    response["headers"] = headers.into();
}

/// The bodies of a request or an answer, by their media types.
fn content(of: Option<&mut Value>) -> Option<&mut Map<String, Value>> {
    of?.get_mut("content")?.as_object_mut()
}

/// A body that is bytes alone. OpenAPI 3.1 could do without a schema; clients that are made from it would then take any
/// body for right.
fn bytes() -> Value {
    json!({ "schema": { "type": "string", "format": "binary" } })
}
