//! The service as a whole: its health, the provider's account, and browsers from other origins.

use http::Method;
use serde_json::{Value, json};
use tests::{
    fakes::faults::{Fault, Operation},
    harness::{Setup, TestApp, gateway::ALLOWED, send},
};

use crate::platform::template::TEMPLATE;

#[tokio::test]
async fn health_says_how_the_service_is_set_up_and_touches_no_network() {
    let app = TestApp::new().await;
    app.wire().reset();
    let health = app.get("/health").await;
    assert_eq!(health.status, 200);
    let expected = json!({
        "status": "ok", "app": "New Visions", "env": "test", "has_google_api_key": true,
        "has_elevenlabs_api_key": true, "elevenlabs_model": "eleven_flash_v2_5", "elevenlabs_model_status": "current",
        "model_cost_factor": 0.5,
    });
    assert_eq!(health.json(), expected);
    assert_eq!(app.wire().commands().len(), 0);
    assert_eq!(app.s3().requests().len(), 0);
    assert_eq!(app.elevenlabs().requests().spans().len() + app.gemini().requests().spans().len(), 0);
}

#[tokio::test]
async fn health_responds_without_a_database() {
    let app = TestApp::new().await;
    app.wire().set_down(true);
    assert_eq!(app.get("/health").await.status, 200);
}

#[tokio::test]
async fn provider_account_is_shown_to_an_admin() {
    let mut setup = Setup::default();
    setup.elevenlabs.voice_limit = 30;
    let app = TestApp::with(setup).await;
    let ada = app.performer("ada").await;
    app.make_admin(&ada).await;
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    let _ = app.elevenlabs().seed_voice("by hand", "cloned", None);
    let account = app.get_as(&ada, "/usage/provider").await.json();
    let expected = json!({
        "tier": "creator", "voice_slots_used": 1, "voice_slots_limit": 30, "voice_add_edits_used": 1,
        "voice_add_edits_limit": 95, "characters_used": app.elevenlabs().state().characters_used,
        "characters_limit": 100_000, "next_reset": account["next_reset"],
    });
    assert_eq!(account, expected);
    assert!(account["next_reset"].as_str().unwrap().ends_with('Z'));

    for fault in [Fault::html_503(), Fault::invalid_api_key(), Fault::json(200, &json!({}))] {
        app.elevenlabs().faults().next(Operation::Subscription, fault);
        app.get_as(&ada, "/usage/provider").await.assert_problem(503, "provider_unavailable");
    }
}

#[tokio::test]
async fn cors_allows_every_method_and_header_of_the_app() {
    assert_eq!(TEMPLATE.allowed_headers(), ALLOWED);
    let app = TestApp::new().await;
    for (method, path) in
        [("POST", "/perform"), ("PATCH", "/users/me"), ("PUT", "/users/me/settings"), ("DELETE", "/users/me")]
    {
        // The platform responds to a preflight, not the functions: it has no request id of ours.
        let response = app
            .client
            .request(Method::OPTIONS, path)
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", method)
            .header("access-control-request-headers", ALLOWED.join(","))
            .send()
            .await
            .unwrap();
        assert!(response.status.is_success(), "{path}");
        let header = |name: &str| response.header(name).to_lowercase();
        assert!(header("access-control-allow-methods").contains(&method.to_lowercase()));
        for wanted in ALLOWED {
            assert!(header("access-control-allow-headers").contains(wanted), "{wanted}");
        }
        assert_eq!(header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn cors_lets_scripts_read_errors() {
    let app = TestApp::new().await;
    let request = app.request(Method::GET, "/usage", None).header("origin", "https://app.example.com");
    let response = send(request.header("accept", "application/json")).await;
    assert_eq!((response.status.as_u16(), response.header("access-control-allow-origin")), (401, "*"));
    let problem: Value = response.json();
    assert_eq!(problem["code"], "missing_token");
}
