//! The functions' way out: whom it trusts, where it does not go, and that S3's failures on it are repeated.

use std::{sync::Arc, time::Duration};

use axum::{Router, response::Redirect, routing::get};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Method;
use mongodb::bson::oid::ObjectId;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use shared::{
    http_client,
    object_store::{ObjectStore, Recording},
};
use tests::{fakes::s3::Fault, harness::TestApp};

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A certificate for `localhost` that signs itself, until 2126, and its Ed25519 key: nobody trusts it, so neither is
/// a secret.
const CERTIFICATE: &str = "\
    MIIBVTCCAQegAwIBAgIUDfxTcuZjCTnvzKhCA2BiUliwgzgwBQYDK2VwMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDAgFw0yNjExMjIx\
    ODM2MDlaGA8yMTI2MTAyOTE4MzYwOVowFDESMBAGA1UEAwwJbG9jYWxob3N0MCowBQYDK2VwAyEAdvc/34wb2Fczmlc6d2HgAUwu\
    UYWDA6oPmPqBsvws33mjaTBnMB0GA1UdDgQWBBRrvy77W7HObLRqF5bFtR80b87FsTAfBgNVHSMEGDAWgBRrvy77W7HObLRqF5bF\
    tR80b87FsTAPBgNVHRMBAf8EBTADAQH/MBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAFBgMrZXADQQD5GQf02MhAoe/4sPZL+KRzcrfq\
    Ic7KpSPEnLsnSBna2gQ6bDiLEZ0HajqmJxC8+ZJyc7OG8/ILOvOKeOxqHR0N";
const KEY: &str = "MC4CAQAwBQYDK2VwBCIEIJVJ1KR9zkoawJsO3pfi+VoDkdiVDVT2uJXq/CO+53F+";

#[tokio::test]
async fn self_signed_certificate_is_refused() {
    let certificate = CertificateDer::from(STANDARD.decode(CERTIFICATE).unwrap());
    let key = PrivateKeyDer::Pkcs8(STANDARD.decode(KEY).unwrap().into());
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await.map(drop)
    });

    let refused = http_client::client().unwrap().get(format!("https://localhost:{port}")).send().await;
    assert!(format!("{:?}", refused.unwrap_err()).contains("InvalidCertificate"));
    served.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new()
        .route("/", get(async || Redirect::temporary("/elsewhere")))
        .route("/elsewhere", get(async || "your key, please"));
    let server = tokio::spawn(axum::serve(listener, routes).into_future());
    let response =
        http_client::client().unwrap().get(base).header("xi-api-key", "secret").send().await.unwrap();
    assert_eq!(response.status(), 307);
    server.abort();
}

#[tokio::test]
async fn s3_failure_at_once_is_retried() {
    let app = TestApp::new().await;
    let recordings = ObjectStore::from_env(&app.services.env, http_client::client().unwrap()).unwrap();
    let user = ObjectId::new();
    let recording = Recording { bytes: Bytes::from(vec![7; 100_000]), mime_type: String::from("audio/webm") };
    for fault in [Fault::ResetBefore, Fault::ResetAfter, Fault::SlowDown] {
        app.s3().inject(1, Method::PUT, fault);
        recordings.put(user, recording.clone()).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        app.s3().inject(1, Method::GET, fault);
        let stored = recordings.get(user).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(stored.map(|stored| stored.bytes), Some(recording.bytes.clone()), "{fault:?}");
    }
    // And a body that breaks off is no recording.
    app.s3().inject(1, Method::GET, Fault::Truncate);
    let error = recordings.get(user).await.err().expect("half a recording is none").to_string();
    assert!(!error.contains(&user.to_hex()), "the log would name the user: {error}");
}

#[tokio::test]
async fn s3_unreachable_is_an_error_that_names_nobody() {
    let app = TestApp::new().await;
    let mut env = app.services.env.clone();
    env.extend([("S3_ENDPOINT", "http://127.0.0.1:9")]);
    let recordings = ObjectStore::from_env(&env, http_client::client().unwrap()).unwrap();
    let user = ObjectId::new();
    let error = tokio::time::timeout(Duration::from_mins(1), recordings.get(user)).await.unwrap();
    let error = error.err().expect("nobody is there").to_string();
    assert!(!error.contains(&user.to_hex()), "the log would name the user: {error}");
}
