//! What each function may do in AWS, and where it is reached: the template beside what the functions really do.

use std::collections::BTreeSet;

use axum::{Router, body::Body};
use http::{Method, Request};
use serde_json::{Value, json};
use shared::http as edge;
use tests::{
    fakes::{elevenlabs::Delays, faults::Operation, s3},
    harness::gateway,
};
use tokio::net::TcpListener;

use crate::{
    platform::template::{self, TEMPLATE},
    platform::{events, routes},
    test_app::{PASSWORD, TestApp, User, WEBM, call, eventually, send},
};

/// A function, what it does in S3, and under which prefix of the bucket.
type Grant = (String, String, String);

#[tokio::test]
async fn each_functions_policy_grants_what_the_function_does_and_nothing_else() {
    let world = on_keys_of_their_own(TestApp::new().await).await;
    let mut driven = BTreeSet::new();
    for (number, route) in routes::of_the_template().into_iter().enumerate() {
        let user = world.performer(&format!("user{number}")).await;
        world.make_admin(&user).await;
        let user = world.sign_in(&user).await;
        let path = route.path_of("me");
        let answer = world.send_as(&user, route.method(), &path, &route.body(&user)).await;
        // The code has made its user's account.
        let done = answer.status.is_success() || route.name() == "POST /auth/register";
        assert!(done, "{}: {answer:?}", route.name());
        driven.insert(route.name());
    }
    assert_eq!(driven.len(), routes::of_the_template().len());
    large_uploads(&world).await;
    repeated_performs(&world).await;
    deleted_while_performing(&world).await;
    world.backend.sweep().await.unwrap();

    let done = done_in_s3(&world);
    let granted = granted();
    assert!(granted.len() > 6, "{granted:?}");
    let missing: Vec<_> = done.difference(&granted).collect();
    let unused: Vec<_> = granted.difference(&done).collect();
    assert!(missing.is_empty() && unused.is_empty(), "not granted: {missing:?}; never done: {unused:?}");
}

#[tokio::test]
async fn each_function_serves_its_routes_of_the_template_and_nobody_elses() {
    let world = TestApp::new().await;
    let all = routes::of_the_template();
    let paths: BTreeSet<&str> = all.iter().map(|route| route.path.as_str()).collect();
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    for function in TEMPLATE.functions().into_iter().filter(|function| !function.routes.is_empty()) {
        let router = edge::service(events::router(&world.services.env, &world.clock, function.name).await);
        for path in &paths {
            for method in methods {
                let request = Request::builder().method(method).uri(path.replace("{user_id}", "me"));
                let answer = call(&router, request.body(Body::empty()).unwrap()).await;
                let served = ![404, 405].contains(&answer.status.as_u16());
                let its_own = function.routes.contains(&format!("{method} {path}"));
                assert_eq!(served, its_own, "{}: {method} {path}: {}", function.name, answer.status);
            }
        }
    }
}

/// The same world with each function on an access key of its own.
async fn on_keys_of_their_own(mut world: TestApp) -> TestApp {
    let mut all = Router::new();
    for (function, key) in keys() {
        let mut env = world.services.env.clone();
        env.extend([("AWS_ACCESS_KEY_ID", key)]);
        all = all.merge(events::router(&env, &world.clock, function).await);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.base = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the test's runtime.
    tokio::spawn(gateway::serve(listener, edge::service(all), std::future::pending()));
    world
}

/// The functions that serve HTTP, each with its access key.
fn keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    let functions = TEMPLATE.functions().into_iter().filter(|function| !function.routes.is_empty());
    functions.map(|function| function.name).zip(s3::MORE_ACCESS_KEYS)
}

/// What the functions did in S3. A presigned request is done in the name of whoever signed it.
fn done_in_s3(world: &TestApp) -> BTreeSet<Grant> {
    let of = |entry: s3::Entry| {
        let (function, _) = keys()
            .find(|(_, key)| *key == entry.access_key)
            .unwrap_or_else(|| panic!("{} of {} by no function", entry.method, entry.key));
        let action = match entry.method {
            Method::GET => "s3:GetObject",
            Method::PUT => "s3:PutObject",
            Method::DELETE => "s3:DeleteObject",
            other => panic!("{other} is not known here"),
        };
        let (prefix, _) = entry.key.split_once('/').expect("a prefix");
        (function.to_owned(), action.to_owned(), prefix.to_owned())
    };
    world.s3().journal().into_iter().map(of).collect()
}

/// What the policies in the template grant.
fn granted() -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();
    for (name, function) in template::resources("AWS::Serverless::Function") {
        let function_name = name.strip_suffix("Function").expect(&name).to_lowercase();
        for policy in list(&function["Policies"]) {
            for statement in list(&policy["Statement"]) {
                assert_eq!(statement["Effect"], "Allow");
                for (action, resource) in pairs(statement) {
                    let prefix = resource
                        .strip_prefix("${Recordings.Arn}/")
                        .and_then(|rest| rest.strip_suffix("/*"))
                        .filter(|prefix| !prefix.contains(['*', '/', '?']));
                    let prefix = prefix.unwrap_or_else(|| panic!("{name}: {resource} is not one prefix"));
                    grants.insert((function_name.clone(), action, prefix.to_owned()));
                }
            }
        }
    }
    grants
}

fn pairs(statement: &Value) -> Vec<(String, String)> {
    let texts = |value: &Value| -> Vec<String> {
        list(value).into_iter().map(|text| text.as_str().expect("text").to_owned()).collect()
    };
    let resources = texts(&statement["Resource"]);
    let actions = texts(&statement["Action"]);
    actions
        .iter()
        .flat_map(|action| resources.iter().map(|resource| (action.clone(), resource.clone())))
        .collect()
}

/// One value or a list of values; nothing for null.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
}

/// An upload that is offered, replaced by another offer, uploaded and adopted; and one that is never adopted.
async fn large_uploads(world: &TestApp) {
    let user = world.register("uploader").await;
    let offer = async || {
        let wanted = json!({ "mime_type": "audio/webm", "bytes": WEBM.len() });
        world.post_as(&user, "/users/me/voice/upload", &wanted).await.json()
    };
    offer().await;
    let offer_taken = offer().await;
    let mut put = world.http.put(offer_taken["upload_url"].as_str().unwrap()).body(WEBM);
    for (name, value) in offer_taken["headers"].as_object().unwrap() {
        put = put.header(name, value.as_str().unwrap());
    }
    assert!(put.send().await.unwrap().status().is_success());
    let adopted = world.post_as(&user, "/users/me/voice", &json!({ "key": offer_taken["key"] })).await;
    assert_eq!(adopted.status, 200, "{adopted:?}");
    offer().await;
    delete_account(world, &user).await;
}

/// A perform whose answer is asked for again, and an account that is deleted after it.
async fn repeated_performs(world: &TestApp) {
    let user = world.performer("repeater").await;
    for _ in 0..2 {
        assert_eq!(send(keyed_perform(world, &user)).await.status, 200);
    }
    delete_account(world, &user).await;
}

/// An account that is deleted while it performs.
async fn deleted_while_performing(world: &TestApp) {
    let user = world.performer("leaver").await;
    let slow = Delays { first_byte: std::time::Duration::from_secs(1), ..Delays::default() };
    world.elevenlabs().set_delays(slow);
    let created = world.elevenlabs().journal().count(Operation::Create);
    let performing = tokio::spawn(send(keyed_perform(world, &user)));
    eventually("a voice is made", async || world.elevenlabs().journal().count(Operation::Create) > created)
        .await;
    delete_account(world, &user).await;
    performing.await.unwrap();
}

fn keyed_perform(world: &TestApp, user: &User) -> reqwest::RequestBuilder {
    let perform = world.request(Method::POST, "/perform", Some(user)).header("idempotency-key", "the key");
    perform.json(&json!({ "routine_type": "cards", "value": "Queen of Hearts" }))
}

async fn delete_account(world: &TestApp, user: &User) {
    let deleted = world.send_as(user, Method::DELETE, "/users/me", &json!({ "password": PASSWORD })).await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
}
