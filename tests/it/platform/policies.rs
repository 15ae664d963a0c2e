//! What each function may do in AWS, and where it is reached: the template beside what the functions really do.

use std::collections::BTreeSet;

use axum::Router;
use http::Method;
use serde_json::{Value, json};
use shared::http::with_common_layers;
use tests::{
    fakes::{elevenlabs::Delays, faults::Operation, s3},
    harness::{
        PASSWORD, SLOW, TestApp, TestClient, TestRequest, User, WEBM, eventually, gateway, router, routes,
        routine, send,
    },
};

use tokio::net::TcpListener;

use crate::platform::template::{self, TEMPLATE};

/// A function, what it does in S3, and under which prefix of the bucket.
type Grant = (String, String, String);

#[tokio::test]
async fn policies_grant_exactly_what_each_function_does() {
    let app = on_keys_of_their_own(TestApp::new().await).await;
    let mut driven = BTreeSet::new();
    for (number, route) in routes::all().iter().enumerate() {
        let user = app.performer(&format!("user{number}")).await;
        app.make_admin(&user).await;
        let user = app.sign_in(&user).await;
        let path = route.path_for("me");
        let response = app.send_as(&user, route.method.clone(), &path, &route.body(&user)).await;
        // The code has made its user's account.
        let done = response.status.is_success() || route.name() == "POST /auth/register";
        assert!(done, "{}: {response:?}", route.name());
        driven.insert(route.name());
    }
    assert_eq!(driven.len(), routes::all().len());
    large_uploads(&app).await;
    repeated_performs(&app).await;
    deleted_while_performing(&app).await;
    app.backend.sweep().await.unwrap();

    let done = done_in_s3(&app);
    let granted = granted();
    assert!(granted.len() > 6, "{granted:?}");
    let missing: Vec<_> = done.difference(&granted).collect();
    let unused: Vec<_> = granted.difference(&done).collect();
    assert!(missing.is_empty() && unused.is_empty(), "not granted: {missing:?}; never done: {unused:?}");
}

/// The same app with each function on an access key of its own.
async fn on_keys_of_their_own(mut app: TestApp) -> TestApp {
    let mut all = Router::new();
    for (function, key) in keys() {
        let mut env = app.services.env.clone();
        env.extend([("AWS_ACCESS_KEY_ID", key)]);
        all = all.merge(router(function, &env, &app.clock).await.unwrap());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    app.client = TestClient::http(format!("http://{}", listener.local_addr().unwrap()));
    // It ends with the test's runtime.
    tokio::spawn(gateway::serve(
        listener,
        with_common_layers(all, &app.services.env).unwrap(),
        std::future::pending(),
    ));
    app
}

/// The functions that serve HTTP, each with its access key.
fn keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    let functions = TEMPLATE.functions().into_iter().filter(|function| !function.routes.is_empty());
    functions.map(|function| function.name).zip(s3::MORE_ACCESS_KEYS)
}

/// What the functions did in S3. A presigned request is done in the name of whoever signed it.
fn done_in_s3(app: &TestApp) -> BTreeSet<Grant> {
    let of = |entry: s3::LoggedRequest| {
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
    app.s3().requests().into_iter().map(of).collect()
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
async fn large_uploads(app: &TestApp) {
    let user = app.register("uploader").await;
    let offer = async || {
        let wanted = json!({ "mime_type": "audio/webm", "bytes": WEBM.len() });
        app.post_as(&user, "/users/me/voice/upload", &wanted).await.json()
    };
    offer().await;
    let offer_taken = offer().await;
    let mut put = app.http.put(offer_taken["upload_url"].as_str().unwrap()).body(WEBM);
    for (name, value) in offer_taken["headers"].as_object().unwrap() {
        put = put.header(name, value.as_str().unwrap());
    }
    assert!(put.send().await.unwrap().status().is_success());
    let adopted = app.post_as(&user, "/users/me/voice", &json!({ "key": offer_taken["key"] })).await;
    assert_eq!(adopted.status, 200, "{adopted:?}");
    offer().await;
    delete_account(app, &user).await;
}

/// A perform whose response is asked for again, and an account that is deleted after it.
async fn repeated_performs(app: &TestApp) {
    let user = app.performer("repeater").await;
    for _ in 0..2 {
        assert_eq!(send(keyed_perform(app, &user)).await.status, 200);
    }
    delete_account(app, &user).await;
}

/// An account that is deleted while it performs.
async fn deleted_while_performing(app: &TestApp) {
    let user = app.performer("leaver").await;
    let slow = Delays { first_byte: SLOW, ..Delays::default() };
    app.elevenlabs().set_delays(slow);
    let created = app.elevenlabs().requests().count(Operation::Create);
    let performing = tokio::spawn(send(keyed_perform(app, &user)));
    eventually("a voice is made", async || app.elevenlabs().requests().count(Operation::Create) > created)
        .await;
    delete_account(app, &user).await;
    performing.await.unwrap();
}

fn keyed_perform(app: &TestApp, user: &User) -> TestRequest {
    app.client.perform(user, &routine("Queen of Hearts")).key("the key")
}

async fn delete_account(app: &TestApp, user: &User) {
    let deleted = app.send_as(user, Method::DELETE, "/users/me", &json!({ "password": PASSWORD })).await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
}
