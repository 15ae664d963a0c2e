//! The description of the API (`functions/usage/openapi.json`) against the backend: what it says is what the code says,
//! what it lists is what there is, and every response of these tests is one that it describes.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::harness::{
    Response, Route, TestApp,
    openapi::{self, DOCUMENT, FILE, assert_described, assert_fits, documented, operation},
    routes,
};

#[test]
fn openapi_json_is_up_to_date() {
    assert!(
        openapi::text() == FILE,
        "functions/usage/openapi.json is out of date; make it anew with\n\n  \
         cargo local openapi > new.json && mv new.json functions/usage/openapi.json\n"
    );
}

#[tokio::test]
async fn openapi_is_served_as_it_is_checked_in() {
    let app = TestApp::new().await;
    app.wire().reset();
    let response = app.get("/openapi.json").await;
    assert_eq!((response.status.as_u16(), response.header("content-type")), (200, "application/json"));
    assert_eq!(response.body, FILE.as_bytes());
    assert_eq!(app.wire().commands().len(), 0);
}

#[test]
fn openapi_has_exactly_the_listed_routes() {
    assert_eq!(documented(), routes::all().iter().map(Route::name).collect());
}

#[test]
fn openapi_requires_a_token_exactly_on_closed_routes() {
    let closed: BTreeSet<String> = routes::closed().map(Route::name).collect();
    let described: BTreeSet<String> = routes::all()
        .iter()
        .filter(|route| operation(route)["security"] == json!([{ "bearer": [] }]))
        .map(Route::name)
        .collect();
    assert_eq!(described, closed);
}

#[test]
fn openapi_operation_ids_are_unique() {
    let names: Vec<&str> =
        routes::all().iter().map(|route| operation(route)["operationId"].as_str().expect("a name")).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
}

#[test]
fn openapi_examples_fit_their_schemas() {
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
    for route in routes::all() {
        check(format!("the body of {}", route.name()), &operation(route)["requestBody"]["content"]);
    }
    for (name, response) in DOCUMENT["components"]["responses"].as_object().expect("responses") {
        check(format!("the response {name}"), &response["content"]);
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
fn openapi_check_notices_undescribed_responses() {
    let usage_route = routes::find(&Method::GET, "/usage").expect("a route");
    let usage = json!({
        "charCount": 1, "monthlyLimit": 2, "remaining": 1, "clonesUsed": 0, "clonesLimit": 30, "period": "2026-11",
        "resetsAt": "2026-12-01T00:00:00Z", "model": "eleven_flash_v2_5", "costFactor": 0.5,
    });
    let response = |status: u16, body: &Value| Response {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: [
            ("content-type", "application/json"),
            ("x-request-id", "1"),
            ("www-authenticate", "Bearer"),
        ]
        .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
        .into_iter()
        .collect(),
        body: body.to_string().into(),
    };
    let described = |status: u16, body: &Value| {
        let response = response(status, body);
        std::panic::catch_unwind(|| assert_described(usage_route, &response)).is_ok()
    };
    assert!(described(200, &usage));
    for (member, bad) in [
        ("charCount", json!("1")),
        ("period", json!("November")),
        ("resetsAt", json!("soon")),
        ("surplus", json!(1)),
    ] {
        let mut wrong = usage.clone();
        wrong[member] = bad;
        assert!(!described(200, &wrong), "{member}");
    }
    let mut short = usage.clone();
    short.as_object_mut().expect("an object").remove("model");
    assert!(!described(200, &short));
    assert!(!described(201, &usage));

    let problem = |code: &str| {
        json!({
            "type": "urn:newvisions:problem:x", "title": "Unauthorized", "status": 401, "detail": "No.", "code": code,
            "request_id": "1", "errors": [],
        })
    };
    assert!(described(401, &problem("invalid_token")));
    assert!(!described(401, &problem("invalid_credentials")));
}
