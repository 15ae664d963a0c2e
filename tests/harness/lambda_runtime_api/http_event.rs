//! Owns the translation between HTTP and what an API Gateway HTTP API sends to a function and takes from it (payload
//! format 2.0): <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Failure;

const DOMAIN: &str = "abcdefghij.execute-api.us-east-1.amazonaws.com";
/// The client's address in every event, from the block that is reserved for documentation.
const SOURCE_IP: &str = "198.51.100.7";

/// A function's answer to an HTTP event.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The status.
    pub status: StatusCode,
    /// All headers; each cookie is a `Set-Cookie`.
    pub headers: HeaderMap,
    /// The body's bytes, decoded if it came in base64.
    pub body: Bytes,
}

/// The answer as the function writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

impl HttpAnswer {
    /// Reads what a function answered.
    pub fn decode(answer: &Value) -> Result<Self, Failure> {
        let malformed = |why: &dyn std::fmt::Display| Failure::Malformed(format!("{why}: {answer}"));
        let wire = Wire::deserialize(answer).map_err(|error| malformed(&error))?;
        let cookies = wire.cookies.iter().map(|cookie| ("set-cookie", cookie));
        let mut headers = HeaderMap::new();
        for (name, value) in wire.headers.iter().map(|(name, value)| (name.as_str(), value)).chain(cookies) {
            let name = HeaderName::try_from(name).map_err(|error| malformed(&error))?;
            headers.append(name, HeaderValue::try_from(value).map_err(|error| malformed(&error))?);
        }
        let body = wire.body.unwrap_or_default();
        Ok(Self {
            status: StatusCode::from_u16(wire.status_code).map_err(|error| malformed(&error))?,
            headers,
            body: if wire.is_base64_encoded {
                STANDARD.decode(body).map_err(|error| malformed(&error))?.into()
            } else {
                body.into()
            },
        })
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Result<Value> {
        serde_json::from_slice(&self.body)
    }
}

/// The event for an HTTP request. What is not text by its `Content-Type` goes in base64, as through the gateway.
#[must_use]
pub fn http_event(method: &str, path_and_query: &str, headers: &[(&str, &str)], body: &[u8]) -> Value {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let mut merged = BTreeMap::from([
        ("content-length".to_owned(), body.len().to_string()),
        ("host".to_owned(), DOMAIN.to_owned()),
        ("x-forwarded-for".to_owned(), SOURCE_IP.to_owned()),
        ("x-forwarded-port".to_owned(), "443".to_owned()),
        ("x-forwarded-proto".to_owned(), "https".to_owned()),
    ]);
    let mut cookies = Vec::new();
    for (name, value) in headers {
        match name.to_ascii_lowercase() {
            name if name == "cookie" => cookies.extend(value.split("; ")),
            // The client's own come first, the gateway's after them; elsewhere the client's replace ours.
            name if name == "x-forwarded-for" => _ = merged.insert(name, format!("{value}, {SOURCE_IP}")),
            name if headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(&name)).count() > 1 => {
                merged
                    .entry(name)
                    .and_modify(|all| *all = format!("{all},{value}"))
                    .or_insert((*value).to_owned());
            }
            name => _ = merged.insert(name, (*value).to_owned()),
        }
    }
    let text = std::str::from_utf8(body).ok().filter(|_| is_text(merged.get("content-type")));
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": DOMAIN,
            "domainPrefix": "abcdefghij",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": SOURCE_IP,
                "userAgent": merged.get("user-agent").map_or("", String::as_str),
            },
            "requestId": uuid::Uuid::new_v4().simple().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": shared::clock::Clock::system().now().timestamp_millis(),
        },
        "headers": merged,
        "isBase64Encoded": !body.is_empty() && text.is_none(),
    });
    // What is empty is left out.
    if !body.is_empty() {
        event["body"] = text.map_or_else(|| STANDARD.encode(body), str::to_owned).into();
    }
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    if !query.is_empty() {
        event["queryStringParameters"] = query_parameters(query).into();
    }
    event
}

fn is_text(content_type: Option<&String>) -> bool {
    let media_type = content_type.map_or("", |value| value.split(';').next().unwrap_or_default().trim());
    media_type.starts_with("text/")
        || ["application/json", "application/javascript", "application/xml"].contains(&media_type)
}

/// Decoded, the values of a repeated name joined with commas.
fn query_parameters(query: &str) -> Map<String, Value> {
    let mut parameters = BTreeMap::<String, Vec<String>>::new();
    let url = reqwest::Url::parse(&format!("https://{DOMAIN}/?{query}"));
    for (name, value) in url.iter().flat_map(|url| url.query_pairs()) {
        parameters.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    parameters.into_iter().map(|(name, values)| (name, values.join(",").into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_is_the_gateways() {
        let headers = [
            ("Content-Type", "application/json; charset=utf-8"),
            ("Cookie", "a=1; b=2"),
            ("X-A", "1"),
            ("x-a", "2"),
        ];
        let event = http_event("POST", "/perform?q=a%20b&q=c", &headers, br#"{"value":"7"}"#);
        assert_eq!(event["rawPath"], "/perform");
        assert_eq!(event["rawQueryString"], "q=a%20b&q=c");
        assert_eq!(event["queryStringParameters"], json!({ "q": "a b,c" }));
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(event["headers"]["x-a"], "1,2");
        assert_eq!(event["headers"].get("cookie"), None);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(r#"{"value":"7"}"#), &json!(false)));
        assert_eq!(event["requestContext"]["http"]["sourceIp"], SOURCE_IP);
    }

    #[test]
    fn event_has_bytes_in_base64_and_no_body_for_nothing() {
        let event = http_event("POST", "/v", &[("content-type", "audio/webm")], &[0xff, 0]);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
        let event = http_event("GET", "/v", &[], b"");
        assert_eq!((event.get("body"), &event["isBase64Encoded"]), (None, &json!(false)));
        assert_eq!(event.get("queryStringParameters"), None);
    }

    #[test]
    fn response_is_decoded_or_refused() {
        let answer = json!({ "statusCode": 201, "headers": { "Content-Type": "audio/mpeg" }, "cookies": ["a=1", "b=2"],
            "body": "/wA=", "isBase64Encoded": true });
        let answer = HttpAnswer::decode(&answer).unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (201, &[0xff_u8, 0][..]));
        assert_eq!(answer.headers["content-type"], "audio/mpeg");
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
        let answer = HttpAnswer::decode(&json!({ "statusCode": 204 })).unwrap();
        assert!(answer.body.is_empty());
        HttpAnswer::decode(&json!({ "body": "no status" })).unwrap_err();
    }
}
