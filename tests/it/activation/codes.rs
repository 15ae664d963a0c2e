//! Activation codes: asked about and made.

use std::collections::HashSet;

use mongodb::bson::doc;
use serde_json::{Value, json};
use tests::harness::{TestApp, registration};

#[tokio::test]
async fn activation_code_is_valid_only_if_issued_and_unused() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let fresh = app.code().await;
    for (code, valid) in [
        (fresh.as_str(), true),
        (&format!(" {fresh} "), true),
        (&ada.code, false),
        ("ABCDEFGHJ23", false),
        (&fresh[1..], false),
        (&fresh.to_lowercase(), false),
        ("", false),
        ("$ne", false),
    ] {
        let response = app.post("/activation/verify", &json!({ "code": code })).await;
        assert_eq!((response.status.as_u16(), response.json()), (200, json!({ "valid": valid })), "{code}");
    }
    assert_eq!(app.post("/auth/register", &registration("grace", &fresh)).await.status, 201);
}

#[tokio::test]
async fn activation_codes_of_an_admin_make_accounts() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    app.make_admin(&ada).await;
    let response = app.post_as(&ada, "/activation/codes", &json!({ "count": 1000 })).await;
    assert_eq!(response.status, 201);
    let codes: HashSet<String> = serde_json::from_value(response.json()["codes"].clone()).unwrap();
    assert_eq!(codes.len(), 1000, "each is different");
    for code in &codes {
        assert!(code.len() == 11 && code.chars().all(|c| c.is_ascii_alphanumeric()), "{code}");
        assert!(code.contains(|c: char| c.is_ascii_digit()), "{code}");
        assert!(code.contains(|c: char| c.is_ascii_alphabetic()), "{code}");
    }
    let code = codes.iter().next().unwrap();
    assert_eq!(app.post("/auth/register", &registration("grace", code)).await.status, 201);
}

#[tokio::test]
async fn admin_role_is_read_from_the_database_at_each_request() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let one = json!({ "count": 1 });
    app.post_as(&ada, "/activation/codes", &one).await.assert_problem(403, "forbidden");
    app.get_as(&ada, "/usage/provider").await.assert_problem(403, "forbidden");

    // The same token, before and after.
    app.make_admin(&ada).await;
    assert_eq!(app.post_as(&ada, "/activation/codes", &one).await.status, 201);
    assert_eq!(app.get_as(&ada, "/usage/provider").await.status, 200);
    app.rewrite(&ada, doc! { "$unset": { "role": "" } }).await;
    app.post_as(&ada, "/activation/codes", &one).await.assert_problem(403, "forbidden");
    app.get_as(&ada, "/usage/provider").await.assert_problem(403, "forbidden");
    assert_eq!(issued(&app).await, 2, "hers and the one that she made");
}

async fn issued(app: &TestApp) -> u64 {
    let codes = app.backend.database.collection::<Value>("activation_codes");
    codes.count_documents(doc! {}).await.unwrap()
}
