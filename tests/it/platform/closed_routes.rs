//! Every route of the deployment, as open or closed, with a body that it would take.

use http::Method;
use serde_json::{Value, json};

use crate::test_app::PASSWORD;

/// What answers without an access token.
const OPEN: [&str; 7] = [
    "POST /auth/register",
    "POST /auth/login",
    "POST /auth/refresh",
    "POST /activation/verify",
    "POST /activation/reset-password",
    "GET /health",
    "GET /openapi.json",
];

/// A route that needs an access token.
pub struct Route {
    pub method: Method,
    /// May hold `{user_id}`.
    pub path: &'static str,
    /// What a well-meaning client would send; null for nothing.
    pub body: Value,
}

impl Route {
    /// The path with this for `{user_id}`.
    pub fn of(&self, user_id: &str) -> String {
        self.path.replace("{user_id}", user_id)
    }

    /// Whether the path names a user.
    pub fn names_user(&self) -> bool {
        self.path.contains("{user_id}")
    }
}

/// All closed routes.
pub fn closed() -> Vec<Route> {
    let route = |method, path, body| Route { method, path, body };
    let empty = Value::Null;
    let new_password = json!({ "current_password": PASSWORD, "new_password": "a wholly different phrase" });
    let ask = json!({ "topic": "cards", "value": "Queen of Hearts" });
    vec![
        route(Method::POST, "/auth/logout", empty.clone()),
        route(Method::GET, "/auth/session", empty.clone()),
        route(Method::GET, "/users/{user_id}", empty.clone()),
        route(Method::PATCH, "/users/{user_id}", json!({ "username": "mallory-was-here" })),
        route(Method::DELETE, "/users/{user_id}", json!({ "password": PASSWORD })),
        route(Method::PUT, "/users/{user_id}/password", new_password),
        route(Method::GET, "/users/{user_id}/settings", empty.clone()),
        route(Method::PUT, "/users/{user_id}/settings", json!({ "voice_language": "de" })),
        route(Method::POST, "/users/{user_id}/voice", json!({ "audio_base64": "GkXfow==" })),
        route(Method::DELETE, "/users/{user_id}/voice", empty.clone()),
        route(
            Method::POST,
            "/users/{user_id}/voice/upload",
            json!({ "mime_type": "audio/webm", "bytes": 9000 }),
        ),
        route(Method::GET, "/users/{user_id}/voice/meta", empty.clone()),
        route(Method::GET, "/users/{user_id}/meta", empty.clone()),
        route(Method::POST, "/activation/codes", json!({ "count": 3 })),
        route(Method::POST, "/thought", ask.clone()),
        route(Method::POST, "/generate-thought", ask),
        route(Method::POST, "/perform", json!({ "text": "Good morning, I had a dream." })),
        route(Method::GET, "/usage", empty.clone()),
        route(Method::GET, "/usage/provider", empty),
    ]
}

#[test]
fn every_route_of_the_deployment_is_known_as_open_or_closed() {
    let mut deployed: Vec<String> = include_str!("../../../template.yaml")
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once("Method: ")?;
            let (method, rest) = rest.split_once(',')?;
            Some(format!("{method} {}", rest.split('"').nth(1)?))
        })
        .collect();
    let mut known: Vec<String> =
        closed().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    known.extend(OPEN.map(String::from));
    deployed.sort();
    known.sort();
    assert_eq!(known, deployed);
}
