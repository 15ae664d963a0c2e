//! The sample events of `events/`: each is answered with success by the function whose route it is for, in the way in
//! which Lambda would hand it over.

use std::{collections::BTreeSet, fs, path::Path};

use lambda_http::{Adapter, Context, LambdaEvent, Service as _, request::LambdaRequest};
use serde_json::Value;
use shared::http::with_common_layers;
use tests::harness::{
    Route, TestApp, WEBM, lambda_runtime_api::HttpAnswer, mp3, router, routes, sample_events,
};

use crate::platform::template::TEMPLATE;

#[tokio::test]
async fn sample_events_succeed_at_the_function_of_their_route() {
    let app = TestApp::new().await;
    // A sign-up first: the others sign their user up where that was not done.
    let mut names: Vec<String> =
        fs::read_dir(folder()).unwrap().map(|entry| stem(&entry.unwrap().path())).collect();
    names.sort_by_key(|name| (name != "auth-register", name.clone()));
    assert!(names.len() > 20);

    let functions = TEMPLATE.functions();
    let mut replayed = BTreeSet::new();
    for name in names {
        let event = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let event = sample_events::whole(&app.backend, &event, WEBM)
            .await
            .unwrap_or_else(|why| panic!("{name}: {why}"));
        let parsed: Value = serde_json::from_str(&event).unwrap();
        let Some(route) = parsed["routeKey"].as_str() else {
            assert_eq!(name, "sweep");
            app.backend.sweep().await.unwrap();
            continue;
        };
        let function = functions.iter().find(|function| function.routes.iter().any(|served| served == route));
        let function = function.unwrap_or_else(|| panic!("{name} is for {route}, which is no route")).name;
        let response = delivered(&app, function, &event).await;
        assert_eq!(response.status, success(route), "{name}: {response:?}");
        assert_eq!(response.headers.get("x-request-id").unwrap(), "the-invocation", "{name}");
        assert_eq!(response.body.is_empty(), response.status == 204, "{name}: {response:?}");
        if name == "perform-audio" {
            assert!(mp3::listen(&response.body).is_some(), "the audio came through damaged");
            assert_scripts_can_read(&response);
        }
        replayed.insert(route.to_owned());
    }
    assert_eq!(replayed, routes::all().iter().map(Route::name).collect(), "a route without an event");
}

/// Hands the event to a function as its bootstrap does: parsed, adapted, and the response written as JSON.
async fn delivered(app: &TestApp, function: &str, event: &str) -> HttpAnswer {
    let request: LambdaRequest = serde_json::from_str(event).unwrap();
    let mut context = Context::default();
    context.request_id = String::from("the-invocation");
    let env = &app.services.env;
    let routes = router(function, env, &app.clock).await.unwrap();
    let mut adapter = Adapter::from(with_common_layers(routes, env).unwrap());
    let response = adapter.call(LambdaEvent::new(request, context)).await.unwrap();
    HttpAnswer::decode(&serde_json::to_value(response).unwrap()).unwrap()
}

/// The status of success that each route documents.
fn success(route: &str) -> u16 {
    match route {
        "POST /auth/register" | "POST /activation/codes" | "POST /users/{user_id}/voice/upload" => 201,
        "POST /auth/logout"
        | "POST /activation/reset-password"
        | "PUT /users/{user_id}/password"
        | "DELETE /users/{user_id}/voice"
        | "DELETE /users/{user_id}" => 204,
        _ => 200,
    }
}

/// The facts beside the audio reach a browser's script: every header of ours is exposed.
fn assert_scripts_can_read(response: &HttpAnswer) {
    let exposed: BTreeSet<&str> = TEMPLATE.exposed_headers().into_iter().collect();
    let ours: BTreeSet<&str> =
        response.headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-")).collect();
    assert!(ours.len() > 5, "{ours:?}");
    // Two come with errors alone.
    assert_eq!(exposed, ours.into_iter().chain(["retry-after", "www-authenticate"]).collect());
    assert_eq!(exposed, tests::harness::gateway::EXPOSED.into_iter().collect());
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../events"))
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap().to_str().unwrap().to_owned()
}
