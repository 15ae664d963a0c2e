//! The list of routes against `template.yaml` and against the routers themselves.

use std::collections::BTreeSet;

use http::Method;
use shared::http::with_common_layers;
use tests::harness::{FUNCTIONS, Route, TestApp, TestClient, router, routes, send};

use crate::platform::template::{BASE_PATH, TEMPLATE};

#[test]
fn template_declares_exactly_the_listed_routes() {
    let declared: Vec<String> =
        TEMPLATE.functions().into_iter().flat_map(|function| function.routes).collect();
    assert_eq!(declared.len(), routes::all().len(), "a route twice");
    assert_eq!(
        declared.into_iter().collect::<BTreeSet<_>>(),
        routes::all().iter().map(Route::name).collect()
    );
}

#[test]
fn template_declares_every_route_a_second_time_under_the_base_path() {
    for function in TEMPLATE.functions() {
        assert_eq!(function.routes_under_base_path, function.routes, "the function {}", function.name);
    }
    assert_eq!(TEMPLATE.parameters["ApiBasePath"].default.as_deref(), Some(BASE_PATH));
}

#[tokio::test]
async fn routers_serve_exactly_the_routes_that_the_template_gives_their_function() {
    let app = TestApp::new().await;
    let paths: BTreeSet<&str> = routes::all().iter().map(|route| route.path).collect();
    let functions = TEMPLATE.functions();
    let serving: BTreeSet<&str> = functions
        .iter()
        .filter(|function| !function.routes.is_empty())
        .map(|function| function.name)
        .collect();
    assert_eq!(serving, FUNCTIONS.into_iter().collect());
    for function in functions.iter().filter(|function| serving.contains(function.name)) {
        let router = router(function.name, &app.services.env, &app.clock).await.unwrap();
        let client = TestClient::router(&with_common_layers(router, &app.services.env).unwrap());
        for path in &paths {
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let name = format!("{method} {path}");
                let response = send(client.request(method, path.replace("{user_id}", "me"))).await;
                let served = ![404, 405].contains(&response.status.as_u16());
                assert_eq!(
                    served,
                    function.routes.contains(&name),
                    "{}: {name}: {}",
                    function.name,
                    response.status
                );
            }
        }
        let unknown = send(client.request(Method::GET, "/unknown")).await;
        unknown.assert_problem(404, "not_found");
    }
}
