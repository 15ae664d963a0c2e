//! Every route of the backend, as `template.yaml` declares it, with a body that it takes.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::{
    platform::template::TEMPLATE,
    test_app::{PASSWORD, User, WEBM, base64},
};

/// A method and a path, such as `GET /users/{user_id}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The path, with its parameters in braces.
    pub path: String,
    /// `GET`, `POST`, …
    pub method: String,
}

/// The routes of the HTTP API in `template.yaml`.
pub fn of_the_template() -> BTreeSet<Route> {
    let routes = TEMPLATE.functions().into_iter().flat_map(|function| function.routes);
    routes
        .map(|route| {
            let (method, path) = route.split_once(' ').expect("a method and a path");
            Route { path: path.to_owned(), method: method.to_owned() }
        })
        .collect()
}

impl Route {
    /// Its method.
    pub fn method(&self) -> Method {
        self.method.parse().expect("a method")
    }

    /// Its path for a user; `id` is in place of `{user_id}`.
    pub fn path_of(&self, id: &str) -> String {
        self.path.replace("{user_id}", id)
    }

    /// As a person writes it.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// A body that the route takes from this user; null where it reads none. A new route needs a line here.
    pub fn body(&self, user: &User) -> Value {
        match self.name().as_str() {
            "POST /auth/register" => crate::test_app::registration("somebody", &user.code),
            "POST /auth/login" => json!({ "username": user.username, "password": PASSWORD }),
            "POST /auth/refresh" => json!({ "refresh_token": user.refresh_token }),
            "POST /activation/verify" => json!({ "code": user.code }),
            "POST /activation/reset-password" => json!({
                "email": format!("{}@example.com", user.username),
                "activation_code": user.code,
                "new_password": PASSWORD,
            }),
            "POST /activation/codes" => json!({ "count": 1 }),
            "PATCH /users/{user_id}" => json!({ "username": user.username }),
            "DELETE /users/{user_id}" => json!({ "password": PASSWORD }),
            "PUT /users/{user_id}/password" => {
                json!({ "current_password": PASSWORD, "new_password": PASSWORD })
            }
            "PUT /users/{user_id}/settings" => json!({ "voice_language": "en" }),
            "POST /users/{user_id}/voice" => json!({ "audio_base64": base64(WEBM) }),
            "POST /users/{user_id}/voice/upload" => {
                json!({ "mime_type": "audio/webm", "bytes": WEBM.len() })
            }
            "POST /thought" | "POST /generate-thought" => json!({ "topic": "a film", "value": "Fargo" }),
            "POST /perform" => json!({ "routine_type": "movies", "value": "Fargo" }),
            "POST /auth/logout"
            | "GET /auth/session"
            | "GET /users/{user_id}"
            | "GET /users/{user_id}/settings"
            | "GET /users/{user_id}/voice/meta"
            | "GET /users/{user_id}/meta"
            | "DELETE /users/{user_id}/voice"
            | "GET /usage"
            | "GET /usage/provider"
            | "GET /health"
            | "GET /openapi.json" => Value::Null,
            unknown => panic!("{unknown} needs a body here"),
        }
    }
}
