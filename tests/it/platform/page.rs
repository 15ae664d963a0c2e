//! The page that `cargo local` serves beside the API. What it does is tested in a browser; here is how it is served.

use http::{Method, header};
use tests::harness::{TestClient, page};

async fn get(path: &str) -> tests::harness::Response {
    let client = TestClient::router(&page::routes());
    client.request(Method::GET, path).send().await.expect("a response")
}

#[tokio::test]
async fn page_and_every_file_that_it_names_are_served_with_a_strict_content_security_policy() {
    let index = get("/").await;
    let html = String::from_utf8(index.body.to_vec()).expect("UTF-8");
    let named: Vec<&str> =
        html.split('"').filter(|value| value.starts_with("/page/") || value.starts_with("/built/")).collect();
    assert!(named.contains(&"/built/page/app.js") && named.contains(&"/page/style.css"), "{named:?}");
    for path in [&["/"], named.as_slice()].concat() {
        let file = get(path).await;
        assert_eq!(file.status, 200, "{path}");
        let policy = file.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(file.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    }
    assert_eq!(index.headers[header::CONTENT_TYPE], "text/html");
    assert_eq!(get("/built/page/app.js").await.headers[header::CONTENT_TYPE], "text/javascript");
    // What the policy refuses would not work: script and style in the markup itself.
    for refused in ["<style", " style=", " onclick=", "javascript:"] {
        assert!(!html.contains(refused), "{refused}");
    }
}

#[tokio::test]
async fn page_folder_is_not_left() {
    for path in ["/page/../client.test.mjs", "/page/%2e%2e/package.json", "/built/..%2fpackage.json", "/page"]
    {
        assert_eq!(get(path).await.status, 404, "{path}");
    }
}
