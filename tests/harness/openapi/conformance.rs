//! Whether responses are as the API's description (`functions/usage/openapi.json`) says.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex},
};

use http::StatusCode;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use crate::harness::{Response, Route};

/// The file, as it is served.
pub const FILE: &str = include_str!("../../../functions/usage/openapi.json");

/// The document.
pub static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(FILE).expect("the document is JSON"));

/// Its components where no object has members that it does not name: responses must fit even these, or they would tell what
/// nobody described. Requests may say more.
static CLOSED_COMPONENTS: LazyLock<Value> = LazyLock::new(|| {
    let mut components = DOCUMENT["components"].clone();
    for schema in components["schemas"].as_object_mut().expect("schemas").values_mut() {
        if schema["properties"].is_object() {
            schema["additionalProperties"] = json!(false);
        }
    }
    components
});

/// Asserts that a response is one that the document describes for this route.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn assert_described(route: &Route, response: &Response) {
    if response.status == StatusCode::NOT_FOUND && operation(route)["responses"]["404"].is_null() {
        // A function that was asked alone for a route of another one.
        assert_eq!(response.json()["code"], "not_found");
        return;
    }
    let described = described_response(route, response.status);
    let media_type = response.header("content-type").split(';').next().unwrap_or_default();
    let Some(content) = described["content"].as_object() else {
        assert!(response.body.is_empty(), "{} describes no body: {response:?}", route.name());
        return;
    };
    let name = route.name();
    let body = content.get(media_type).unwrap_or_else(|| panic!("{name} describes no {media_type}"));
    for header in described["headers"].as_object().expect("headers").keys() {
        let is_optional = response.status.is_success() && header != "X-Request-Id";
        assert!(is_optional || response.headers.contains_key(header), "{name} lacks {header}: {response:?}");
    }
    if media_type.ends_with("json") {
        let key = format!("{name} {} {media_type}", response.status);
        assert_fits(&CLOSED_COMPONENTS, &key, &body["schema"], &response.json());
    }
}

/// The description of an response.
#[track_caller]
fn described_response(route: &Route, status: StatusCode) -> &'static Value {
    let operation = operation(route);
    let response = operation["responses"].get(status.as_str());
    let response = response.unwrap_or_else(|| panic!("{} describes no {status}", route.name()));
    match response["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components/responses/")) {
        Some(name) => &DOCUMENT["components"]["responses"][name],
        None => response,
    }
}

/// The description of a route.
#[must_use]
pub fn operation(route: &Route) -> &'static Value {
    &DOCUMENT["paths"][route.path][route.method.as_str().to_lowercase()]
}

/// Asserts that a value fits a schema with these components; `key` names both.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn assert_fits(components: &Value, key: &str, schema: &Value, value: &Value) {
    static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let validator = {
        let mut validators = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let made =
            validators.entry(key.to_owned()).or_insert_with(|| Arc::new(validator(components, schema)));
        Arc::clone(made)
    };
    let wrong: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{key} is not as described: {wrong:#?}");
}

fn validator(components: &Value, schema: &Value) -> Validator {
    let whole = json!({ "components": components, "allOf": [schema] });
    let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
    options.build(&whole).expect("the document's schemas are schemas")
}

/// The routes of the document, such as `GET /usage`.
///
/// # Panics
/// If it has none.
#[must_use]
pub fn documented() -> BTreeSet<String> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let of_path = |(path, methods): (&String, &Value)| {
        let methods: Vec<String> = methods.as_object().expect("methods").keys().cloned().collect();
        let path = path.clone();
        methods.into_iter().map(move |method| format!("{} {path}", method.to_uppercase()))
    };
    paths.iter().flat_map(of_path).collect()
}
