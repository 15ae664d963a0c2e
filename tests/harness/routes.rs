//! Every route of the API, once: who may call it, and a body that it takes. A test compares this list with
//! `template.yaml`, with the routers and with the API's description.

use http::Method;
use serde_json::{Value, json};

use super::{
    client::{PASSWORD, User, base64, registration},
    test_app::WEBM,
};

/// A method at a path.
pub struct Route {
    pub method: Method,
    /// Where a user's id belongs it has `{user_id}`.
    pub path: &'static str,
    /// Who may call it.
    pub auth: Auth,
    /// A body that it takes; see [`Route::body`].
    sample: fn(&User) -> Value,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Everybody.
    Open,
    /// Users with an access token; where the path has an id, it must be their own.
    User,
    /// Users with an access token who are admins.
    Admin,
}

/// All routes, sorted by path.
#[must_use]
pub fn all() -> &'static [Route] {
    &ROUTES
}

/// The routes that need an access token.
pub fn closed() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.auth != Auth::Open)
}

/// The route that a request goes to.
#[must_use]
pub fn find(method: &Method, path: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.method == *method && route.matches(path))
}

impl Route {
    /// Such as `GET /users/{user_id}`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Its path with this for `{user_id}`.
    #[must_use]
    pub fn path_for(&self, user_id: &str) -> String {
        self.path.replace("{user_id}", user_id)
    }

    /// Whether the path names a user.
    #[must_use]
    pub fn names_user(&self) -> bool {
        self.path.contains("{user_id}")
    }

    /// A body that the route takes from this user; null where it reads none. It changes something if the route can.
    #[must_use]
    pub fn body(&self, user: &User) -> Value {
        (self.sample)(user)
    }

    /// Whether it reads a JSON body.
    #[must_use]
    pub fn reads_json(&self) -> bool {
        let nobody = || String::from("x");
        let nobody = User {
            id: nobody(),
            username: nobody(),
            access_token: nobody(),
            refresh_token: nobody(),
            code: nobody(),
        };
        !self.body(&nobody).is_null()
    }

    fn matches(&self, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or_default();
        let (wanted, given) = (self.path.split('/'), path.split('/'));
        wanted.clone().count() == given.clone().count()
            && wanted
                .zip(given)
                .all(|(wanted, given)| wanted == given || (wanted == "{user_id}" && !given.is_empty()))
    }
}

const fn route(method: Method, path: &'static str, auth: Auth, sample: fn(&User) -> Value) -> Route {
    Route { method, path, auth, sample }
}

fn none(_: &User) -> Value {
    Value::Null
}

fn thought(_: &User) -> Value {
    json!({ "topic": "a film", "value": "Fargo" })
}

static ROUTES: [Route; 26] = [
    route(Method::POST, "/activation/codes", Auth::Admin, |_| json!({ "count": 1 })),
    route(Method::POST, "/activation/reset-password", Auth::Open, |user| {
        json!({
            "email": format!("{}@example.com", user.username),
            "activation_code": user.code,
            "new_password": PASSWORD,
        })
    }),
    route(Method::POST, "/activation/verify", Auth::Open, |user| json!({ "code": user.code })),
    route(
        Method::POST,
        "/auth/login",
        Auth::Open,
        |user| json!({ "username": user.username, "password": PASSWORD }),
    ),
    route(Method::POST, "/auth/logout", Auth::User, none),
    route(Method::POST, "/auth/refresh", Auth::Open, |user| json!({ "refresh_token": user.refresh_token })),
    route(Method::POST, "/auth/register", Auth::Open, |user| registration("somebody", &user.code)),
    route(Method::GET, "/auth/session", Auth::User, none),
    route(Method::POST, "/generate-thought", Auth::User, thought),
    route(Method::GET, "/health", Auth::Open, none),
    route(Method::GET, "/openapi.json", Auth::Open, none),
    route(Method::POST, "/perform", Auth::User, |_| json!({ "routine_type": "movies", "value": "Fargo" })),
    route(Method::POST, "/thought", Auth::User, thought),
    route(Method::GET, "/usage", Auth::User, none),
    route(Method::GET, "/usage/provider", Auth::Admin, none),
    route(Method::DELETE, "/users/{user_id}", Auth::User, |_| json!({ "password": PASSWORD })),
    route(Method::GET, "/users/{user_id}", Auth::User, none),
    route(Method::PATCH, "/users/{user_id}", Auth::User, |user| {
        json!({
            "email": format!("{}-changed@example.com", user.username), "current_password": PASSWORD,
        })
    }),
    route(Method::GET, "/users/{user_id}/meta", Auth::User, none),
    route(
        Method::PUT,
        "/users/{user_id}/password",
        Auth::User,
        |_| json!({ "current_password": PASSWORD, "new_password": PASSWORD }),
    ),
    route(Method::GET, "/users/{user_id}/settings", Auth::User, none),
    route(Method::PUT, "/users/{user_id}/settings", Auth::User, |_| json!({ "voice_language": "de" })),
    route(Method::DELETE, "/users/{user_id}/voice", Auth::User, none),
    route(Method::POST, "/users/{user_id}/voice", Auth::User, |_| json!({ "audio_base64": base64(WEBM) })),
    route(Method::GET, "/users/{user_id}/voice/meta", Auth::User, none),
    route(
        Method::POST,
        "/users/{user_id}/voice/upload",
        Auth::User,
        |_| json!({ "mime_type": "audio/webm", "bytes": WEBM.len() }),
    ),
];
