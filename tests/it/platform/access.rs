//! Who may do what: no route is open that is not listed here, and nobody reaches what is somebody else's.

use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mongodb::bson::Bson;
use serde_json::{Value, json};
use tests::harness::SigningKey;

use crate::{
    platform::routes::{self, Route},
    test_app::{Setup, TestApp, User, send},
};

/// The routes that answer without a token.
const OPEN: [&str; 7] = [
    "GET /health",
    "GET /openapi.json",
    "POST /activation/reset-password",
    "POST /activation/verify",
    "POST /auth/login",
    "POST /auth/refresh",
    "POST /auth/register",
];

fn closed() -> impl Iterator<Item = Route> {
    routes::of_the_template().into_iter().filter(|route| !OPEN.contains(&route.name().as_str()))
}

#[tokio::test]
async fn no_other_route_answers_without_a_token() {
    let world = TestApp::new().await;
    let ada = world.register("ada").await;
    let mut open = Vec::new();
    for route in routes::of_the_template() {
        let request = world.request(route.method(), &route.path_of(&ada.id), None);
        let answer = send(request.json(&route.body(&ada))).await;
        if answer.json_or_null()["code"] == "missing_token" {
            answer.assert_problem(401, "missing_token");
        } else {
            open.push(route.name());
        }
    }
    open.sort();
    assert_eq!(open, OPEN);
}

#[tokio::test]
async fn no_closed_route_answers_to_a_token_that_is_not_ours() {
    let ours = SigningKey::generate();
    let keys = |stage: &str| Setup {
        env: vec![
            ("JWT_SIGNING_KEY", ours.private.clone()),
            ("JWT_PUBLIC_KEYS", ours.public_set.clone()),
            ("STAGE", stage.to_owned()),
        ],
        ..Setup::default()
    };
    let (world, stage, stranger) =
        tokio::join!(TestApp::with(keys("test")), TestApp::with(keys("prod")), TestApp::new());
    let ada = world.register("ada").await;
    let expired = world.sign_in(&ada).await;
    world.clock.advance(Duration::from_mins(15));
    let ada = world.sign_in(&ada).await;
    assert_eq!(world.get_as(&ada, "/usage").await.status, 200);

    let [header, claims, signature] = parts(&ada.access_token);
    let mut tokens = vec![
        String::from("x"),
        String::from("a.b.c"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{}", signature.to_lowercase()),
        format!("{}.{claims}.", encoded(&json!({ "alg": "none", "typ": "at+jwt" }))),
        format!("{header}.{}.{signature}", encoded(&altered(&claims, "sub", "000000000000000000000000"))),
        "x".repeat(5000),
        expired.access_token,
        stage.register("ada").await.access_token,
        stranger.register("ada").await.access_token,
        ada.refresh_token.clone(),
    ];
    tokens.extend(forged(&ours, &header, &claims));
    for route in closed() {
        for token in &tokens {
            let request = world.request(route.method(), &route.path_of("me"), None).bearer_auth(token);
            send(request.json(&route.body(&ada))).await.assert_problem(401, "invalid_token");
        }
        let basic = world.request(route.method(), &route.path_of("me"), None).basic_auth("ada", Some("x"));
        send(basic).await.assert_problem(401, "missing_token");
        let twice = world.request(route.method(), &route.path_of("me"), Some(&ada));
        send(twice.bearer_auth(&ada.access_token)).await.assert_problem(401, "invalid_token");
    }
    assert_eq!(world.get_as(&ada, "/usage").await.status, 200);
}

/// Tokens with our own claims under a wrong key, a wrong algorithm or a wrong type.
fn forged(ours: &SigningKey, header: &str, claims: &str) -> Vec<String> {
    let claims = decoded(claims);
    let key_id = decoded(header)["kid"].as_str().expect("a key id").to_owned();
    let sign = |algorithm: Algorithm, typ: &str, kid: Option<&str>, key: &EncodingKey, claims: &Value| {
        let mut header = Header::new(algorithm);
        header.typ = Some(typ.to_owned());
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, key).expect("a token")
    };
    let pair = Ed25519KeyPair::generate().expect("random bytes");
    let theirs = pair.to_pkcs8v1().expect("a key has a form");
    let theirs = EncodingKey::from_ed_der(theirs.as_ref());
    let der = base64::engine::general_purpose::STANDARD.decode(&ours.private).expect("base64");
    let right = EncodingKey::from_ed_der(&der);
    let public = EncodingKey::from_secret(ours.public_set.as_bytes());
    let altered_to = |member: &str, value: Value| {
        let mut claims = claims.clone();
        claims[member] = value;
        claims
    };
    vec![
        sign(Algorithm::EdDSA, "at+jwt", Some(&key_id), &theirs, &claims),
        sign(Algorithm::HS256, "at+jwt", Some(&key_id), &public, &claims),
        sign(Algorithm::EdDSA, "JWT", Some(&key_id), &right, &claims),
        sign(Algorithm::EdDSA, "at+jwt", None, &right, &claims),
        sign(Algorithm::EdDSA, "at+jwt", Some("another"), &right, &claims),
        sign(Algorithm::EdDSA, "at+jwt", Some(&key_id), &right, &altered_to("iss", json!("somebody"))),
        sign(Algorithm::EdDSA, "at+jwt", Some(&key_id), &right, &altered_to("sub", json!("ada"))),
        sign(Algorithm::EdDSA, "at+jwt", Some(&key_id), &right, &altered_to("sid", json!("another"))),
        sign(Algorithm::EdDSA, "at+jwt", Some(&key_id), &right, &altered_to("nbf", json!(4_000_000_000_i64))),
    ]
}

#[tokio::test]
async fn no_closed_route_answers_to_a_session_that_has_ended() {
    let world = TestApp::new().await;
    let ada = world.register("ada").await;
    let ended = world.sign_in(&ada).await;
    assert_eq!(send(world.request(Method::POST, "/auth/logout", Some(&ended))).await.status, 204);
    for route in closed() {
        let request = world.request(route.method(), &route.path_of("me"), Some(&ended));
        send(request.json(&route.body(&ada))).await.assert_problem(401, "invalid_token");
    }
    assert_eq!(world.stored(&ada).await.get("recording"), Some(&Bson::Null));
    assert_eq!(world.s3().keys(), [""; 0]);
}

#[tokio::test]
async fn nobody_reaches_the_routes_of_another_user() {
    let world = TestApp::new().await;
    let ada = world.performer("ada").await;
    let grace = world.register("grace").await;
    let before = world.stored(&ada).await;
    for route in closed().filter(|route| route.path.contains("{user_id}")) {
        for id in [ada.id.as_str(), "000000000000000000000000", "ada", "ME", "me%20", "$ne"] {
            let request = world.request(route.method(), &route.path_of(id), Some(&grace));
            send(request.json(&route.body(&ada))).await.assert_problem(403, "forbidden");
        }
    }
    assert_eq!(world.stored(&ada).await, before);
    assert_eq!(world.s3().keys(), [format!("recordings/{}", ada.id)]);
}

#[tokio::test]
async fn ones_own_id_in_any_case_and_the_word_me_are_the_same() {
    let world = TestApp::new().await;
    let ada = world.register("ada").await;
    let get = |id: String| {
        let (world, ada) = (&world, &ada);
        async move { world.get_as(ada, &format!("/users/{id}")).await.json() }
    };
    let profile = get(String::from("me")).await;
    assert_eq!(profile["user_id"], ada.id.as_str());
    assert_eq!(get(ada.id.clone()).await, profile);
    assert_eq!(get(ada.id.to_uppercase()).await, profile);
}

#[tokio::test]
async fn a_401_carries_a_challenge_that_tells_no_token_from_a_bad_one() {
    let world = TestApp::new().await;
    let user = User { access_token: String::from("x"), ..world.register("ada").await };
    let without = world.get("/usage").await;
    assert_eq!(without.header("www-authenticate"), r#"Bearer realm="newvisions""#);
    let with = world.get_as(&user, "/usage").await;
    assert_eq!(with.header("www-authenticate"), r#"Bearer realm="newvisions", error="invalid_token""#);
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().expect("a token has three parts")
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn altered(claims: &str, member: &str, value: &str) -> Value {
    let mut claims = decoded(claims);
    claims[member] = json!(value);
    claims
}
