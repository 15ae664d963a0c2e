//! A user's settings.

use http::Method;
use mongodb::bson::{doc, oid::ObjectId};
use serde_json::{Value, json};
use tests::harness::{TestApp, User};

#[tokio::test]
async fn settings_of_a_new_account_are_the_defaults() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    assert_eq!(read(&app, &ada).await, defaults());
    let profile = app.get_as(&ada, "/users/me").await.json();
    assert_eq!(profile["settings"], defaults());
}

#[tokio::test]
async fn settings_are_replaced_as_a_whole() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let grace = app.register("grace").await;
    let all = json!({
        "voice_language": "es", "speaker_sex": "female", "voice_stability": 0, "voice_similarity": 100,
        "background_sound": true, "background_volume": 1, "voice_note_name": "ñ".repeat(50),
        "voice_note_date": "2024-02-29", "voice_note_name_default": true,
    });
    assert_eq!(replace(&app, &ada, &all).await, all);
    assert_eq!(read(&app, &ada).await, all);
    assert_eq!(read(&app, &grace).await, defaults());

    // What is left out gets its default, and so does a null where there is none.
    let mut some = defaults();
    some["voice_language"] = json!("de");
    some["voice_stability"] = json!(33);
    let body = json!({ "voice_language": "DE", "voice_stability": 33.4, "voice_note_name": null });
    assert_eq!(replace(&app, &ada, &body).await, some);
    assert_eq!(read(&app, &ada).await, some);
    assert_eq!(replace(&app, &ada, &json!({})).await, defaults());
}

#[tokio::test]
async fn settings_that_are_refused_change_nothing() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let body = json!({ "voice_language": "de", "voice_stability": 101 });
    let response = app.send_as(&ada, Method::PUT, "/users/me/settings", &body).await;
    assert_eq!(response.bad_fields(), ["voice_stability"]);
    assert_eq!(read(&app, &ada).await, defaults());
}

#[tokio::test]
async fn settings_of_the_earlier_backend_are_read() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let earlier = doc! {
        "language": "es", "stability": 0.35, "add_background_sound": true, "background_volume": 0.6,
        "sex": "female",
    };
    app.rewrite(&ada, doc! { "$set": { "settings": earlier } }).await;
    let mut modern = defaults();
    for (member, value) in [
        ("voice_language", json!("es")),
        ("voice_stability", json!(35)),
        ("background_sound", json!(true)),
        ("background_volume", json!(60)),
        ("speaker_sex", json!("female")),
    ] {
        modern[member] = value;
    }
    assert_eq!(read(&app, &ada).await, modern);

    for odd in [doc! {}, doc! { "language": "klingon", "stability": 7, "unheard_of": ObjectId::new() }] {
        app.rewrite(&ada, doc! { "$set": { "settings": odd } }).await;
        assert_eq!(read(&app, &ada).await["voice_language"], "en");
    }
    app.rewrite(&ada, doc! { "$unset": { "settings": "" } }).await;
    assert_eq!(read(&app, &ada).await, defaults());
}

#[tokio::test]
async fn settings_of_an_odd_stored_type_lock_nobody_out() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for odd in [
        doc! { "voice_stability": "50" },
        doc! { "voice_language": 7 },
        doc! { "background_sound": "true" },
        doc! { "voice_language": null, "voice_stability": null, "background_sound": null },
        doc! { "language": "es", "voice_language": "de" },
    ] {
        app.rewrite(&ada, doc! { "$set": { "settings": odd.clone() } }).await;
        let response = app.get_as(&ada, "/users/me/settings").await;
        assert_eq!(response.status, 200, "{odd} {response:?}");
        let login = json!({ "username": "ada", "password": tests::harness::PASSWORD });
        assert_eq!(app.post("/auth/login", &login).await.status, 200, "{odd}");
    }
}

fn defaults() -> Value {
    json!({
        "voice_language": "en", "speaker_sex": "male", "voice_stability": 50, "voice_similarity": 75,
        "background_sound": false, "background_volume": 30, "voice_note_name": null, "voice_note_date": null,
        "voice_note_name_default": false,
    })
}

async fn read(app: &TestApp, user: &User) -> Value {
    let response = app.get_as(user, "/users/me/settings").await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

async fn replace(app: &TestApp, user: &User, settings: &Value) -> Value {
    let response = app.send_as(user, Method::PUT, "/users/me/settings", settings).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}
