//! Activation codes: asked about and made.

use std::collections::HashSet;

use mongodb::bson::doc;
use serde_json::{Value, json};

use crate::test_app::{TestApp, registration};

#[tokio::test]
async fn only_an_issued_and_unused_code_is_valid() {
    let world = TestApp::new().await;
    let ada = world.register("ada").await;
    let fresh = world.code().await;
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
        let answer = world.post("/activation/verify", &json!({ "code": code })).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "valid": valid })), "{code}");
    }
    assert_eq!(world.post("/auth/register", &registration("grace", &fresh)).await.status, 201);
}

#[tokio::test]
async fn an_admin_makes_codes_that_make_accounts() {
    let world = TestApp::new().await;
    let ada = world.register("ada").await;
    world.make_admin(&ada).await;
    let answer = world.post_as(&ada, "/activation/codes", &json!({ "count": 1000 })).await;
    assert_eq!(answer.status, 201);
    let codes: HashSet<String> = serde_json::from_value(answer.json()["codes"].clone()).unwrap();
    assert_eq!(codes.len(), 1000, "each is different");
    for code in &codes {
        assert!(code.len() == 11 && code.chars().all(|c| c.is_ascii_alphanumeric()), "{code}");
        assert!(code.contains(|c: char| c.is_ascii_digit()), "{code}");
        assert!(code.contains(|c: char| c.is_ascii_alphabetic()), "{code}");
    }
    let code = codes.iter().next().unwrap();
    assert_eq!(world.post("/auth/register", &registration("grace", code)).await.status, 201);
}

#[tokio::test]
async fn whether_somebody_is_an_admin_is_decided_by_the_database_here_and_now() {
    let world = TestApp::new().await;
    let ada = world.register("ada").await;
    let one = json!({ "count": 1 });
    world.post_as(&ada, "/activation/codes", &one).await.assert_problem(403, "forbidden");
    world.get_as(&ada, "/usage/provider").await.assert_problem(403, "forbidden");

    // The same token, before and after.
    world.make_admin(&ada).await;
    assert_eq!(world.post_as(&ada, "/activation/codes", &one).await.status, 201);
    assert_eq!(world.get_as(&ada, "/usage/provider").await.status, 200);
    world.rewrite(&ada, doc! { "$unset": { "role": "" } }).await;
    world.post_as(&ada, "/activation/codes", &one).await.assert_problem(403, "forbidden");
    world.get_as(&ada, "/usage/provider").await.assert_problem(403, "forbidden");
    assert_eq!(issued(&world).await, 2, "hers and the one that she made");
}

async fn issued(world: &TestApp) -> u64 {
    let codes = world.backend.database.collection::<Value>("activation_codes");
    codes.count_documents(doc! {}).await.unwrap()
}
