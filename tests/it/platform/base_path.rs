//! The same routes under the base path, however the way to the API leaves it in the path.

use http::Method;
use lambda_http::{Adapter, Context, LambdaEvent, Service as _, request::LambdaRequest};
use serde_json::{Value, json};
use shared::{env::Env, http::with_common_layers};
use tests::harness::{
    Setup, TestApp,
    lambda_runtime_api::{HttpAnswer, http_event},
    router, routes, send,
};

#[tokio::test]
async fn base_path_leads_to_every_route() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for route in routes::all() {
        // Without a token or a body: each is answered as the same request to the route's own path is.
        let ask = async |prefix: &str| {
            let path = format!("{prefix}{}", route.path_for(&ada.id));
            let response = send(app.request(route.method.clone(), &path, None)).await;
            (response.status.as_u16(), response.json_or_null()["code"].clone())
        };
        let own = ask("").await;
        assert_ne!(own.0, 404, "{}", route.name());
        assert_eq!(ask("/api").await, own, "{}", route.name());
    }
    // With its query, its user and its method.
    let profile = app.get_as(&ada, "/api/users/me?x=1").await;
    assert_eq!(profile.json()["user_id"], ada.id.as_str());
    let changed = app.send_as(&ada, Method::PUT, "/api/users/me/settings", &json!({})).await;
    assert_eq!(changed.status, 200);
    app.get_as(&ada, "/api/users/000000000000000000000000").await.assert_problem(403, "forbidden");
    send(app.request(Method::DELETE, "/api/health", None)).await.assert_problem(405, "method_not_allowed");
    for path in
        ["/api", "/api/", "/api/unknown", "/apihealth", "/api/api/health", "/API/health", "/health/api"]
    {
        app.get(path).await.assert_problem(404, "not_found");
    }
}

#[tokio::test]
async fn base_path_comes_from_a_stage_or_a_mapping_in_the_event() {
    let app = TestApp::new().await;
    // The stage and the path as the gateway hands them over: its own address, a named stage, a custom domain's mapping
    // to either, and a web app's origin that passes /api on.
    for (stage, path) in [
        ("$default", "/health"),
        ("$default", "/api/health"),
        ("prod", "/prod/health"),
        ("prod", "/prod/api/health"),
        ("prod", "/api/health"),
        ("api", "/api/health"),
        ("api", "/api/api/health"),
    ] {
        let answer = delivered(&app, &app.services.env, stage, path).await;
        assert_eq!(answer.status, 200, "{stage} {path}: {answer:?}");
        assert_eq!(answer.json().unwrap()["status"], "ok");
    }
    for (stage, path) in
        [("$default", "/prod/health"), ("prod", "/test/health"), ("prod", "/prod/prod/health")]
    {
        let answer = delivered(&app, &app.services.env, stage, path).await;
        assert_eq!(answer.status, 404, "{stage} {path}");
        assert_eq!(answer.json().unwrap()["code"], "not_found");
    }
}

#[tokio::test]
async fn base_path_is_the_configured_one() {
    let set = |path: &str| Setup { env: vec![("API_BASE_PATH", path.to_owned())], ..Setup::default() };
    let (mapped, bare) = tokio::join!(TestApp::with(set("/v1/backend")), TestApp::with(set("/")));
    assert_eq!(mapped.get("/v1/backend/health").await.status, 200);
    assert_eq!(mapped.get("/health").await.status, 200);
    mapped.get("/api/health").await.assert_problem(404, "not_found");
    assert_eq!(bare.get("/health").await.status, 200);
    bare.get("/api/health").await.assert_problem(404, "not_found");

    for malformed in ["api", "/api/", "//", "/a//b", "/a b", "/{user_id}", "https://example.com/api"] {
        let env = Env::from_iter([("API_BASE_PATH", malformed)]);
        let error = with_common_layers(axum::Router::new(), &env).unwrap_err().to_string();
        assert!(error.contains("API_BASE_PATH") && error.contains("/api"), "{error}");
    }
}

/// What the function `usage` answers to an event of the HTTP API.
async fn delivered(app: &TestApp, env: &Env, stage: &str, path: &str) -> HttpAnswer {
    let mut event = http_event("GET", path, &[], b"");
    event["requestContext"]["stage"] = Value::from(stage);
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    let routes = with_common_layers(router("usage", env, &app.clock).await.unwrap(), env).unwrap();
    let mut adapter = Adapter::from(routes);
    let response = adapter.call(LambdaEvent::new(request, Context::default())).await.unwrap();
    HttpAnswer::decode(&serde_json::to_value(response).unwrap()).unwrap()
}
