//! Who may do what: no route is open that is not listed here, and nobody reaches what is somebody else's.

use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mongodb::bson::Bson;
use serde_json::{Value, json};
use tests::harness::{Auth, Route, Setup, SigningKey, TestApp, User, routes, send};

#[tokio::test]
async fn routes_without_a_token_are_exactly_the_open_ones() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let mut open = Vec::new();
    for route in routes::all() {
        let request = app.request(route.method.clone(), &route.path_for(&ada.id), None);
        let response = send(request.json(&route.body(&ada))).await;
        if response.json_or_null()["code"] == "missing_token" {
            response.assert_problem(401, "missing_token");
        } else {
            open.push(route.name());
        }
    }
    let listed = routes::all().iter().filter(|route| route.auth == Auth::Open).map(Route::name);
    assert_eq!(open, listed.collect::<Vec<_>>());
}

#[tokio::test]
async fn closed_routes_refuse_tokens_that_are_not_ours() {
    let ours = SigningKey::generate();
    let keys = |stage: &str| Setup {
        env: vec![
            ("JWT_SIGNING_KEY", ours.private.clone()),
            ("JWT_PUBLIC_KEYS", ours.public_set.clone()),
            ("STAGE", stage.to_owned()),
        ],
        ..Setup::default()
    };
    let (app, stage, stranger) =
        tokio::join!(TestApp::with(keys("test")), TestApp::with(keys("prod")), TestApp::new());
    let ada = app.register("ada").await;
    let expired = app.sign_in(&ada).await;
    app.clock.advance(Duration::from_mins(15));
    let ada = app.sign_in(&ada).await;
    assert_eq!(app.get_as(&ada, "/usage").await.status, 200);

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
    for route in routes::closed() {
        for token in &tokens {
            let request = app.request(route.method.clone(), &route.path_for("me"), None).bearer_auth(token);
            send(request.json(&route.body(&ada))).await.assert_problem(401, "invalid_token");
        }
        let basic = app.request(route.method.clone(), &route.path_for("me"), None).basic_auth("ada", "x");
        send(basic).await.assert_problem(401, "missing_token");
        let twice = app.request(route.method.clone(), &route.path_for("me"), Some(&ada));
        send(twice.bearer_auth(&ada.access_token)).await.assert_problem(401, "invalid_token");
    }
    assert_eq!(app.get_as(&ada, "/usage").await.status, 200);
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
async fn closed_routes_refuse_an_ended_session() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let ended = app.sign_in(&ada).await;
    assert_eq!(send(app.request(Method::POST, "/auth/logout", Some(&ended))).await.status, 204);
    for route in routes::closed() {
        let request = app.request(route.method.clone(), &route.path_for("me"), Some(&ended));
        send(request.json(&route.body(&ada))).await.assert_problem(401, "invalid_token");
    }
    assert_eq!(app.stored(&ada).await.get("recording"), Some(&Bson::Null));
    assert_eq!(app.s3().keys(), [""; 0]);
}

#[tokio::test]
async fn users_routes_are_forbidden_to_other_users() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let grace = app.register("grace").await;
    let before = app.stored(&ada).await;
    for route in routes::closed().filter(|route| route.names_user()) {
        for id in [ada.id.as_str(), "000000000000000000000000", "ada", "ME", "me%20", "$ne"] {
            let request = app.request(route.method.clone(), &route.path_for(id), Some(&grace));
            send(request.json(&route.body(&ada))).await.assert_problem(403, "forbidden");
        }
    }
    assert_eq!(app.stored(&ada).await, before);
    assert_eq!(app.s3().keys(), [format!("recordings/{}", ada.id)]);
}

#[tokio::test]
async fn user_id_in_any_case_equals_me() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let get = |id: String| {
        let (app, ada) = (&app, &ada);
        async move { app.get_as(ada, &format!("/users/{id}")).await.json() }
    };
    let profile = get(String::from("me")).await;
    assert_eq!(profile["user_id"], ada.id.as_str());
    assert_eq!(get(ada.id.clone()).await, profile);
    assert_eq!(get(ada.id.to_uppercase()).await, profile);
}

#[tokio::test]
async fn challenge_of_a_401_tells_no_token_from_a_bad_one() {
    let app = TestApp::new().await;
    let user = User { access_token: String::from("x"), ..app.register("ada").await };
    let without = app.get("/usage").await;
    assert_eq!(without.header("www-authenticate"), r#"Bearer realm="newvisions""#);
    let with = app.get_as(&user, "/usage").await;
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
