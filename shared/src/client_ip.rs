//! The IP address that a request comes from.

use std::{convert::Infallible, net::IpAddr};

use axum::{extract::FromRequestParts, http::request::Parts};
use lambda_http::request::RequestContext;

/// The client's address as API Gateway saw it. `X-Forwarded-For` is not read, because the client can set it.
///
/// An IPv6 address is cut to its /64, because a single host usually has all of it.
#[derive(Clone, Debug)]
pub struct ClientIp(String);

impl ClientIp {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let address = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
            _ => None,
        };
        Ok(Self(match address.and_then(|address| address.parse::<IpAddr>().ok()) {
            Some(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
                format!("{:x?}/64", &address.segments()[..4])
            }
            Some(address) => address.to_canonical().to_string(),
            None => String::from("unknown"),
        }))
    }
}
