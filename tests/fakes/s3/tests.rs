//! The server with the official SDK, and with plain HTTP where a browser uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;

use std::time::SystemTime;

use super::*;

async fn start() -> (S3, Client) {
    let s3 = S3::start(None, 0).await.unwrap();
    let client = s3.client();
    (s3, client)
}

async fn put(client: &Client, key: &str, body: impl Into<ByteStream>) {
    client.put_object().bucket(BUCKET).key(key).body(body.into()).send().await.unwrap();
}

async fn get(client: &Client, key: &str) -> Result<Bytes, String> {
    let object = client.get_object().bucket(BUCKET).key(key).send().await;
    let object = object.map_err(|error| error.code().unwrap_or("no code").to_owned())?;
    Ok(object.body.collect().await.map_err(|error| format!("body: {error:?}"))?.into_bytes())
}

fn audio() -> Bytes {
    (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect()
}

#[tokio::test]
async fn object_comes_back_with_its_type_and_metadata() {
    let (s3, client) = start().await;
    let put = client.put_object().bucket(BUCKET).key("voices/1/sample one.webm").body(audio().into());
    put.content_type("audio/webm").metadata("sha256", "abc").send().await.unwrap();
    let head = client.head_object().bucket(BUCKET).key("voices/1/sample one.webm").send().await.unwrap();
    assert_eq!(head.content_length(), Some(3_000_000));
    assert_eq!(head.content_type(), Some("audio/webm"));
    assert_eq!(head.metadata().unwrap()["sha256"], "abc");
    assert_eq!(get(&client, "voices/1/sample one.webm").await.unwrap(), audio());
    assert_eq!(s3.keys(), ["voices/1/sample one.webm"]);

    let requests = s3.requests();
    let seen: Vec<_> =
        requests.iter().map(|request| (request.method.as_str(), request.status.unwrap().as_u16())).collect();
    assert_eq!(seen, [("PUT", 200), ("HEAD", 200), ("GET", 200)]);
    assert!(requests.iter().all(|request| request.key == "voices/1/sample%20one.webm"));
    assert!(requests.iter().all(|request| request.started < request.ended.unwrap()));
    s3.reset();
    assert!(s3.requests().is_empty());
}

#[tokio::test]
async fn streamed_body_arrives_with_its_checksum_in_the_trailer() {
    let (_s3, client) = start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), audio()).unwrap();
    put(&client, "streamed", ByteStream::from_path(file.path()).await.unwrap()).await;
    assert_eq!(get(&client, "streamed").await.unwrap(), audio());
    let head = client.head_object().bucket(BUCKET).key("streamed");
    let head = head.checksum_mode(aws_sdk_s3::types::ChecksumMode::Enabled).send().await.unwrap();
    assert!(head.checksum_crc32().is_some());
}

#[tokio::test]
async fn missing_object_is_not_found() {
    let (_s3, client) = start().await;
    let error = client.get_object().bucket(BUCKET).key("none").send().await.unwrap_err();
    assert!(matches!(error.as_service_error(), Some(GetObjectError::NoSuchKey(_))), "{error:?}");
    let error = client.head_object().bucket(BUCKET).key("none").send().await.unwrap_err();
    assert!(matches!(error.as_service_error(), Some(HeadObjectError::NotFound(_))), "{error:?}");
    client.delete_object().bucket(BUCKET).key("none").send().await.unwrap();
}

#[tokio::test]
async fn concurrent_deletions_of_one_object_all_succeed() {
    let (s3, client) = start().await;
    for _ in 0..10 {
        put(&client, "a/b", ByteStream::from_static(b"x")).await;
        let deletions = (0..8).map(|_| client.delete_object().bucket(BUCKET).key("a/b").send());
        futures::future::try_join_all(deletions).await.unwrap();
    }
    assert!(s3.keys().is_empty());
    assert!(s3.requests().iter().all(|request| request.status.is_some_and(|status| status.is_success())));
}

#[tokio::test]
async fn list_supports_prefixes_and_pages() {
    let (s3, client) = start().await;
    for key in ["a/1", "a/2", "a/3", "b/1"] {
        put(&client, key, ByteStream::from_static(b"xyz")).await;
    }
    let mut pages = client.list_objects_v2().bucket(BUCKET).prefix("a/").max_keys(2).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.try_next().await.unwrap() {
        keys.push(page.contents().iter().map(|object| object.key().unwrap().to_owned()).collect::<Vec<_>>());
        assert!(
            page.contents().iter().all(|object| object.size() == Some(3) && object.last_modified().is_some())
        );
    }
    assert_eq!(keys, [vec!["a/1", "a/2"], vec!["a/3"]]);
    assert_eq!(s3.keys(), ["a/1", "a/2", "a/3", "b/1"]);
}

#[tokio::test]
async fn presigned_upload_accepts_only_what_was_signed() {
    let (s3, client) = start().await;
    let soon = || PresigningConfig::expires_in(Duration::from_mins(5)).unwrap();
    let upload = client.put_object().bucket(BUCKET).key("up").content_type("audio/webm").content_length(5);
    let upload = upload.presigned(soon()).await.unwrap();
    let signed: Vec<_> = upload.headers().collect();
    assert!(
        signed.contains(&("content-length", "5")) && signed.contains(&("content-type", "audio/webm")),
        "{signed:?}"
    );

    let send = |content_type: &'static str, body: &'static str| {
        let request =
            reqwest::Client::new().put(upload.uri()).header("content-type", content_type).body(body);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(send("audio/webm", "too long").await, 403);
    assert_eq!(send("text/html", "audio").await, 403);
    assert!(s3.keys().is_empty());
    assert_eq!(send("audio/webm", "audio").await, 200);

    let download = client.get_object().bucket(BUCKET).key("up").presigned(soon()).await.unwrap();
    let answer = reqwest::get(download.uri()).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "audio/webm");
    assert_eq!(answer.text().await.unwrap(), "audio");
    let forged = download.uri().replace("/up?", "/other?");
    assert_eq!(reqwest::get(forged).await.unwrap().status(), 403);
}

#[tokio::test]
async fn expired_url_is_rejected() {
    let (_s3, client) = start().await;
    put(&client, "a", ByteStream::from_static(b"x")).await;
    #[expect(clippy::disallowed_methods, reason = "the server checks against the machine's clock")]
    let now = SystemTime::now();
    // Signed so many minutes ago, for ten minutes.
    let status = async |minutes: u64| {
        let signed = now - Duration::from_mins(minutes);
        let link = PresigningConfig::builder().start_time(signed).expires_in(Duration::from_mins(10));
        let url = client.get_object().bucket(BUCKET).key("a").presigned(link.build().unwrap()).await.unwrap();
        reqwest::get(url.uri()).await.unwrap().status()
    };
    assert_eq!(status(5).await, 200);
    assert_eq!(status(15).await, 403);
}

#[tokio::test]
async fn wrong_or_missing_key_is_rejected() {
    let (s3, client) = start().await;
    put(&client, "a", ByteStream::from_static(b"x")).await;
    assert_eq!(get(&s3.client_as(ACCESS_KEY, "wrong"), "a").await.unwrap_err(), "SignatureDoesNotMatch");
    get(&s3.client_as("AKIANOBODY", SECRET_KEY), "a").await.unwrap_err();
    let unsigned = reqwest::get(format!("{}/{BUCKET}/a", s3.endpoint())).await.unwrap();
    assert_eq!(unsigned.status(), 403);
}

#[tokio::test]
async fn browser_on_another_origin_may_upload() {
    let (s3, _client) = start().await;
    let ask = reqwest::Client::new().request(Method::OPTIONS, format!("{}/{BUCKET}/up", s3.endpoint()));
    let ask = ask.header("origin", "http://localhost:5173").header("access-control-request-method", "PUT");
    let answer = ask.header("access-control-request-headers", "content-type").send().await.unwrap();
    assert!(answer.status().is_success());
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn injected_faults_reach_the_sdk() {
    let (s3, client) = start().await;
    put(&client, "a", audio()).await;
    s3.inject(1, Method::GET, Fault::SlowDown);
    s3.inject(1, Method::GET, Fault::ResetBefore);
    assert_eq!(get(&client, "a").await.unwrap().len(), 3_000_000, "the SDK's third attempt");
    assert_eq!(s3.requests().iter().filter(|request| request.method == Method::GET).count(), 3);

    s3.inject(3, Method::GET, Fault::SlowDown);
    assert_eq!(get(&client, "a").await.unwrap_err(), "SlowDown");
    s3.inject(1, Method::GET, Fault::AccessDenied);
    assert_eq!(get(&client, "a").await.unwrap_err(), "AccessDenied");
    s3.inject(1, Method::GET, Fault::Truncate);
    let truncated = get(&client, "a").await.unwrap_err();
    assert!(truncated.starts_with("body: "), "{truncated}");

    s3.inject(3, Method::PUT, Fault::ResetBefore);
    let lost = client.put_object().bucket(BUCKET).key("b").body(ByteStream::from_static(b"x")).send().await;
    assert!(matches!(lost.unwrap_err(), SdkError::DispatchFailure(_)));
    assert_eq!(s3.keys(), ["a"]);
    s3.inject(3, Method::DELETE, Fault::ResetAfter);
    client.delete_object().bucket(BUCKET).key("a").send().await.unwrap_err();
    assert!(s3.keys().is_empty());
}

#[tokio::test]
async fn delay_holds_every_request_and_a_hang_never_ends() {
    let (s3, client) = start().await;
    s3.set_delay(Duration::from_millis(200));
    let started = Instant::now();
    put(&client, "a", ByteStream::from_static(b"x")).await;
    assert!(started.elapsed() >= Duration::from_millis(200));
    s3.reset();
    s3.inject(1, Method::GET, Fault::HangBefore);
    tokio::select! {
        got = get(&client, "a") => panic!("{got:?}"),
        () = s3.triggered().wait() => {}
    }
    assert_eq!((s3.requests().len(), s3.requests()[0].ended), (1, None));
    get(&client, "a").await.unwrap();
}

#[tokio::test]
async fn root_folder_keeps_the_objects() {
    let root = tempfile::tempdir().unwrap();
    let first = S3::start(Some(root.path()), 0).await.unwrap();
    put(&first.client(), "a", ByteStream::from_static(b"x")).await;
    drop(first);
    let second = S3::start(Some(root.path()), 0).await.unwrap();
    assert_eq!(get(&second.client(), "a").await.unwrap(), "x");
}
