//! The description of the API (OpenAPI 3.1, <https://spec.openapis.org/oas/v3.1.1.html>), put together.
//!
//! Each function describes its own routes, beside their handlers and types. This adds what is the same for all: who the
//! caller is, what can go wrong anywhere, the headers of every answer, and the bodies of `events/` as examples.

mod conformance;
mod examples;
mod operation;
mod problems;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::error::{FieldError, Problem};
use utoipa::{OpenApi, PartialSchema};

pub use conformance::{DOCUMENT, FILE, assert_described, assert_fits, documented, operation};
use operation::Operation;
use problems::Problems;

/// What the API is, for a reader of the document.
const ABOUT: &str = "The backend of New Visions: a performer of mentalism speaks a dream about what a spectator thinks \
    of, in a voice note in their own voice. JSON in, JSON out, UTF-8; members of a body that are not named here are \
    ignored. Every error is problem details (RFC 9457), as `application/problem+json` unless `Accept` names JSON and not \
    that; switch on its `code`, and show its `detail`, which is in the language of `Accept-Language` (en, es, fr, de, it \
    or pt; English else). Unknown paths are 404 `not_found`, unknown methods 405 `method_not_allowed`. Some routes are \
    for admins alone: they say so, and answer everybody else with 403 `forbidden`. The gateway's own refusals, such as a \
    body of over 10 MB, are not problem details.";

/// Paths that an earlier version of the app uses.
const ALIASES: [(&str, &str); 1] = [("/generate-thought", "/thought")];

/// The document.
///
/// # Panics
/// If the descriptions of the functions contradict each other.
#[must_use]
pub fn document() -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut schemas = Map::new();
    for (function, description) in functions() {
        for (path, methods) in object(&description["paths"]) {
            for (method, mut operation) in object(&methods) {
                operation["tags"] = json!([function]);
                paths.entry(path.clone()).or_default().insert(method, operation);
            }
        }
        for (name, schema) in object(&description["components"]["schemas"]) {
            let earlier = schemas.insert(name.clone(), schema.clone());
            assert!(earlier.is_none_or(|earlier| earlier == schema), "two schemas are named {name}");
        }
    }
    for (alias, path) in ALIASES {
        let mut methods = paths[path].clone();
        for operation in methods.values_mut() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            operation["operationId"] = format!("{id}AsEarlier").into();
            operation["deprecated"] = true.into();
        }
        paths.insert(alias.to_owned(), methods);
    }

    let mut problems = Problems::new();
    for (path, methods) in &mut paths {
        for (method, operation) in methods {
            Operation::new(method, path, operation).complete(&mut problems);
        }
    }
    let problem = schemas.entry("Problem").or_insert_with(schema::<Problem>);
    problem["properties"]["code"]["enum"] = problems.codes().into();
    schemas.insert(String::from("FieldError"), schema::<FieldError>());
    for schema in schemas.values_mut() {
        tidy(schema);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "New Visions",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [
            { "url": "/", "description": "Where this document is served." },
            { "url": "/api", "description": "The same, for a web app on the same origin." },
        ],
        "tags": functions().map(|(name, _)| json!({ "name": name })),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "examples": problems.examples(),
            "responses": problems.responses(),
            "parameters": { "user_id": {
                "name": "user_id", "in": "path", "required": true,
                "description": "The caller's own id, or `me`. Anyone else's is 403.",
                "schema": { "type": "string" }, "example": "me",
            } },
            "headers": {
                "X-Request-Id": {
                    "description": "The request's id, in the logs too.", "required": true,
                    "schema": { "type": "string" },
                },
                "Retry-After": {
                    "description": "Seconds after which a retry makes sense.", "required": true,
                    "schema": { "type": "integer", "minimum": 1 },
                },
                "WWW-Authenticate": {
                    "description": "The challenge (RFC 6750).", "required": true,
                    "schema": { "type": "string", "pattern": "^Bearer " },
                },
            },
            "securitySchemes": { "bearer": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "The `access_token` of a sign-up, a login or a refresh.",
            } },
        },
    })
}

/// The document as the file holds it.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", document())
}

fn functions() -> [(&'static str, Value); 6] {
    [
        ("auth", auth::Api::openapi()),
        ("users", users::Api::openapi()),
        ("activation", activation::Api::openapi()),
        ("thought", thought::Api::openapi()),
        ("perform", perform::Api::openapi()),
        ("usage", usage::Api::openapi()),
    ]
    .map(|(name, description)| (name, serde_json::to_value(description).unwrap_or_default()))
}

fn schema<T: PartialSchema>() -> Value {
    serde_json::to_value(T::schema()).unwrap_or_default()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Each paragraph of a doc comment on one line.
fn on_one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n");
    let lines = paragraphs.map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n\n")
}

/// Doc comments on one line, without those that only say what a reader of the code is looking at; flattened structs in one
/// piece.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = on_one_line(text);
                if ["The body.", "The answer."].contains(&text.as_str()) {
                    members.remove("description");
                }
            }
            merge_parts(members);
            members.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Merges the inlined parts of a struct with flattened members (`allOf`) into one object.
fn merge_parts(schema: &mut Map<String, Value>) {
    let parts = schema.get("allOf").and_then(Value::as_array).cloned().unwrap_or_default();
    if parts.is_empty() || !parts.iter().all(|part| part["properties"].is_object()) {
        return;
    }
    schema.remove("allOf");
    let properties = parts.iter().flat_map(|part| object(&part["properties"])).collect();
    let required = parts.iter().filter_map(|part| part["required"].as_array()).flatten().cloned().collect();
    schema.insert(String::from("type"), json!("object"));
    schema.insert(String::from("properties"), Value::Object(properties));
    schema.insert(String::from("required"), Value::Array(required));
}
