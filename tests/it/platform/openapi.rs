//! The description of the API (`functions/usage/openapi.json`) against the backend: what it says is what the code says,
//! what it lists is what there is, and every answer of these tests is one that it describes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex},
};

use http::{Method, StatusCode};
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use tests::harness::openapi;

use crate::{
    platform::closed_routes,
    platform::routes::{self, Route},
    test_app::{Answer, TestApp},
};

/// The file, as it is served.
const FILE: &str = include_str!("../../../functions/usage/openapi.json");

/// The document.
static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(FILE).expect("the document is JSON"));

/// Its components where no object has members that it does not name: answers must fit even these, or they would tell what
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

/// Whether and how the document describes a request's path and method.
pub fn route_of(method: &Method, path: &str) -> Option<Route> {
    let is_it = |template: &str| {
        let (mut wanted, mut given) = (template.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some("{user_id}"), Some(given)) if !given.is_empty() => {}
                (Some(wanted), Some(given)) if wanted == given => {}
                _ => return false,
            }
        }
    };
    documented().into_iter().find(|route| route.method() == *method && is_it(&route.path))
}

/// Asserts that an answer is one that the document describes for this route.
#[track_caller]
pub fn assert_described(route: &Route, answer: &Answer) {
    if answer.status == StatusCode::NOT_FOUND && operation(route)["responses"]["404"].is_null() {
        // A function that was asked alone for a route of another one.
        assert_eq!(answer.json()["code"], "not_found");
        return;
    }
    let described = response(route, answer.status);
    let media_type = answer.header("content-type").split(';').next().unwrap_or_default();
    let Some(content) = described["content"].as_object() else {
        assert!(answer.body.is_empty(), "{} describes no body: {answer:?}", route.name());
        return;
    };
    let name = route.name();
    let body = content.get(media_type).unwrap_or_else(|| panic!("{name} describes no {media_type}"));
    for header in described["headers"].as_object().expect("headers").keys() {
        let is_optional = answer.status.is_success() && header != "X-Request-Id";
        assert!(is_optional || answer.headers.contains_key(header), "{name} lacks {header}: {answer:?}");
    }
    if media_type.ends_with("json") {
        let key = format!("{name} {} {media_type}", answer.status);
        assert_fits(&CLOSED_COMPONENTS, &key, &body["schema"], &answer.json());
    }
}

/// The description of an answer.
#[track_caller]
fn response(route: &Route, status: StatusCode) -> &'static Value {
    let operation = operation(route);
    let response = operation["responses"].get(status.as_str());
    let response = response.unwrap_or_else(|| panic!("{} describes no {status}", route.name()));
    match response["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components/responses/")) {
        Some(name) => &DOCUMENT["components"]["responses"][name],
        None => response,
    }
}

fn operation(route: &Route) -> &'static Value {
    &DOCUMENT["paths"][&route.path][route.method.to_lowercase()]
}

/// Asserts that a value fits a schema with these components; `key` names both.
#[track_caller]
fn assert_fits(components: &Value, key: &str, schema: &Value, value: &Value) {
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

/// The routes of the document.
fn documented() -> BTreeSet<Route> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let of_path = |(path, methods): (&String, &Value)| {
        let methods: Vec<String> = methods.as_object().expect("methods").keys().cloned().collect();
        let path = path.clone();
        methods.into_iter().map(move |method| Route { path: path.clone(), method: method.to_uppercase() })
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn the_checked_in_description_is_the_one_that_the_code_makes() {
    assert!(
        openapi::text() == FILE,
        "functions/usage/openapi.json is out of date; make it anew with\n\n  \
         cargo local openapi > new.json && mv new.json functions/usage/openapi.json\n"
    );
}

#[tokio::test]
async fn the_description_is_served_to_everybody_as_it_is_checked_in() {
    let world = TestApp::new().await;
    world.wire().reset();
    let answer = world.get("/openapi.json").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    assert_eq!(answer.body, FILE.as_bytes());
    assert_eq!(world.wire().commands().len(), 0);
}

#[test]
fn the_description_has_exactly_the_routes_of_the_deployment() {
    assert_eq!(documented(), routes::of_the_template());
}

#[test]
fn the_description_asks_for_a_token_exactly_where_the_backend_does() {
    let closed: BTreeSet<String> =
        closed_routes::closed().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let described: BTreeSet<String> = documented()
        .iter()
        .filter(|route| operation(route)["security"] == json!([{ "bearer": [] }]))
        .map(Route::name)
        .collect();
    assert_eq!(described, closed);
}

#[test]
fn operations_have_names_of_their_own() {
    let names: Vec<&str> =
        documented().iter().map(|route| operation(route)["operationId"].as_str().expect("a name")).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
}

#[test]
fn every_example_of_the_description_fits_its_schema() {
    let components = &DOCUMENT["components"];
    let mut seen = 0;
    let mut check = |key: String, content: &Value| {
        for (media_type, body) in content.as_object().into_iter().flatten() {
            for (name, example) in body["examples"].as_object().into_iter().flatten() {
                let shared = example["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
                let example = shared.map_or(example, |name| &DOCUMENT["components"]["examples"][name]);
                assert_fits(components, &format!("{key} {media_type}"), &body["schema"], &example["value"]);
                assert!(!name.is_empty());
                seen += 1;
            }
        }
    };
    for route in documented() {
        check(format!("the body of {}", route.name()), &operation(&route)["requestBody"]["content"]);
    }
    for (name, response) in DOCUMENT["components"]["responses"].as_object().expect("responses") {
        check(format!("the answer {name}"), &response["content"]);
    }
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().expect("schemas") {
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        if let Some(example) = schema.get("example") {
            assert_fits(components, name, &reference, example);
            seen += 1;
        }
        for (member, property) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(example) = property.get("example") {
                assert_fits(components, &format!("{name}.{member}"), property, example);
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "only {seen} examples");
}

#[test]
fn answers_that_are_not_described_are_noticed() {
    let route = |name: &str| {
        let (method, path) = name.split_once(' ').expect("a route");
        Route { path: path.to_owned(), method: method.to_owned() }
    };
    let usage = json!({
        "charCount": 1, "monthlyLimit": 2, "remaining": 1, "period": "2026-11", "resetsAt": "2026-12-01T00:00:00Z",
        "model": "eleven_flash_v2_5", "costFactor": 0.5,
    });
    let answer = |status: u16, body: &Value| Answer {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: [
            ("content-type", "application/json"),
            ("x-request-id", "1"),
            ("www-authenticate", "Bearer"),
        ]
        .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
        .into_iter()
        .collect(),
        body: body.to_string().into_bytes(),
    };
    let described = |name: &str, status: u16, body: &Value| {
        let answer = answer(status, body);
        std::panic::catch_unwind(|| assert_described(&route(name), &answer)).is_ok()
    };
    assert!(described("GET /usage", 200, &usage));
    for (member, bad) in [
        ("charCount", json!("1")),
        ("period", json!("November")),
        ("resetsAt", json!("soon")),
        ("surplus", json!(1)),
    ] {
        let mut wrong = usage.clone();
        wrong[member] = bad;
        assert!(!described("GET /usage", 200, &wrong), "{member}");
    }
    let mut short = usage.clone();
    short.as_object_mut().expect("an object").remove("model");
    assert!(!described("GET /usage", 200, &short));
    assert!(!described("GET /usage", 201, &usage));

    let problem = |code: &str| {
        json!({
            "type": "urn:newvisions:problem:x", "title": "Unauthorized", "status": 401, "detail": "No.", "code": code,
            "request_id": "1", "errors": [],
        })
    };
    assert!(described("GET /usage", 401, &problem("invalid_token")));
    assert!(!described("GET /usage", 401, &problem("invalid_credentials")));
}
