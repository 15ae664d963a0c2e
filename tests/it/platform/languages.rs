//! What a problem says to a person is in the language of `Accept-Language`.

use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use shared::messages::Language;
use tests::{
    fakes::faults::{Fault, Operation},
    harness::{Response, TestApp, openapi::DOCUMENT, registration, send},
};

async fn register(app: &TestApp, language: &str, body: &Value) -> Response {
    let request = app.request(Method::POST, "/auth/register", None).header("accept-language", language);
    send(request.json(body)).await
}

#[tokio::test]
async fn problem_is_in_the_language_that_the_client_prefers() {
    let app = TestApp::new().await;
    let body = registration("ada", "Unknown1234");
    for (header, language, detail) in [
        ("en-GB", "en", "The activation code is not valid."),
        ("es-MX,es;q=0.9,en;q=0.8", "es", "El código de activación no es válido."),
        ("en;q=0.3, fr-CA;q=0.7", "fr", "Le code d'activation n'est pas valable."),
        ("nl, de;q=0.5", "de", "Der Aktivierungscode ist nicht gültig."),
        ("IT", "it", "Il codice di attivazione non è valido."),
        ("pt-BR", "pt", "O código de ativação não é válido."),
        ("ja", "en", "The activation code is not valid."),
    ] {
        let response = register(&app, header, &body).await;
        let problem = response.assert_problem(422, "invalid_activation_code");
        assert_eq!(problem["detail"], detail, "{header}");
        assert_eq!(response.header("content-language"), language);
        assert!(response.headers.get_all("vary").iter().any(|vary| vary == "accept-language"));
    }
}

#[tokio::test]
async fn bad_fields_are_explained_in_the_language_and_keep_their_names() {
    let app = TestApp::new().await;
    let mut body = registration("ada", "Unknown1234");
    body["username"] = json!("a");
    let problem = register(&app, "es", &body).await.assert_problem(422, "invalid_request");
    let message = "debe tener de 3 a 32 letras, cifras o alguno de _ . -";
    assert_eq!(problem["errors"], json!([{ "field": "username", "message": message }]));
    assert_eq!(problem["detail"], format!("username: {message}"));
    body["email"] = json!("nobody");
    let problem = register(&app, "de", &body).await.assert_problem(422, "invalid_request");
    assert_eq!(problem["detail"], "2 Felder müssen korrigiert werden.");
    assert!(problem["errors"].to_string().contains("muss eine E-Mail-Adresse sein"), "{problem}");
}

#[tokio::test]
async fn failed_take_of_a_list_is_explained_in_the_language() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().faults().next(Operation::Synthesize, Fault::text_too_long());
    let body = json!({ "takes": [{ "text": "One one." }, { "text": "Two two." }] });
    let response = send(app.client.perform(&ada, &body).header("accept-language", "es")).await.json();
    let mut takes = response["takes"].as_array().unwrap().iter();
    let failed = takes.find(|take| take["status"] == "failed").unwrap();
    assert_eq!(failed["detail"], "El servicio de voz no pudo decir el texto. No se ha cobrado nada.");
    assert_eq!(failed["code"], "synthesis_failed");
}

#[test]
fn every_problem_of_the_api_is_translated() {
    let examples = DOCUMENT["components"]["examples"].as_object().unwrap();
    assert!(examples.len() > 20);
    for language in ["es", "fr", "de", "it", "pt"] {
        let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, HeaderValue::from_static(language))]);
        for (code, example) in examples {
            let detail = example["value"]["detail"].as_str().unwrap();
            let translated = Language::from_headers(&headers).translate(detail);
            assert_ne!(
                translated, detail,
                "{code} has no translation in shared/src/messages/{language}.json"
            );
        }
    }
}
