//! Bodies of requests as examples: those of the sample events, which the tests send.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};

/// What stands in an event for a value that only a running backend has, and an example of it.
const PLACEHOLDERS: [(&str, &str); 4] = [
    ("ACTIVATION_CODE", "PUT11CODE42"),
    ("REFRESH_TOKEN", "6921c0de5a3f1b2c4d5e6f70.b7e0c2f4-5d2a-4f7e-9c1b-2a6d8e4f0b13.c2VjcmV0"),
    ("UPLOAD_KEY", "uploads/6921c0de5a3f1b2c4d5e6f70/b7e0c2f4-5d2a-4f7e-9c1b-2a6d8e4f0b13"),
    ("AUDIO_BASE64", "GkXfo59ChoEBQveBAULygQRC84EIQoKEd2VibUKHgQRChYECGFOAZwH/////////"),
];

/// The JSON bodies of the events for a route, by the events' names.
///
/// # Panics
/// If the folder of the events cannot be read, or there is none for the route.
pub fn of(route: &str) -> Map<String, Value> {
    let mut examples = Map::new();
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../events"));
    for file in fs::read_dir(folder).expect("the events are there") {
        let file = file.expect("an event").path();
        let event: Value = serde_json::from_str(&fs::read_to_string(&file).expect("an event is text"))
            .expect("an event is JSON");
        let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if event["routeKey"] != route || event["isBase64Encoded"] == true {
            continue;
        }
        let body = event["body"].as_str().expect("an event of this route has a body").to_owned();
        let body = PLACEHOLDERS.iter().fold(body, |body, (name, value)| body.replace(name, value));
        let value: Value = serde_json::from_str(&body).expect("the body is JSON");
        examples.insert(name, json!({ "value": value }));
    }
    assert!(!examples.is_empty(), "{route} has no event with a body");
    examples
}
