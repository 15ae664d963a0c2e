//! The IP address that a request comes from.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::{
    extract::{FromRequestParts, Request},
    http::request::Parts,
};
use http::{HeaderMap, header};
use lambda_http::request::RequestContext;
use mongodb::bson::oid::ObjectId;

use crate::digest::sha256_hex;

/// The address as `CloudFront` saw it, with a port:
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html>.
const VIEWER_ADDRESS: &str = "cloudfront-viewer-address";

/// The client's address as API Gateway saw it, or as `CloudFront` did where `BEHIND_CLOUDFRONT` says that it is in
/// front. `X-Forwarded-For` is not read, because the client can set it.
///
/// An IPv6 address is cut to its /64, because a single host usually has all of it.
#[derive(Clone, Debug)]
pub struct ClientIp {
    address: String,
    user_agent: String,
}

impl ClientIp {
    /// Called once, by [`crate::http`]; handlers extract the result.
    pub(crate) fn of(request: &Request, behind_cloudfront: bool) -> Self {
        let viewer = behind_cloudfront.then(|| viewer_address(request.headers())).flatten();
        let source = match request.extensions().get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
            _ => None,
        };
        let address = viewer.or_else(|| source?.parse().ok());
        let user_agent = request.headers().get(header::USER_AGENT).map_or(&b""[..], |value| value.as_bytes());
        Self {
            address: address.map_or_else(|| String::from("unknown"), network),
            user_agent: String::from_utf8_lossy(user_agent).into_owned(),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// A hash that stands for the address together with what the browser calls itself. Anybody can claim the latter, so
    /// it only tells apart, for one account, the devices that have signed in to it.
    #[must_use]
    pub fn device_id(&self, user_id: ObjectId) -> String {
        sha256_hex(format!("{user_id}\n{}\n{}", self.address, self.user_agent))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let unknown = || Self { address: String::from("unknown"), user_agent: String::new() };
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(unknown))
    }
}

fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => {
            format!("{:x?}/64", &address.segments()[..4])
        }
        address => address.to_canonical().to_string(),
    }
}

/// An IPv6 address comes with and without brackets.
fn viewer_address(headers: &HeaderMap) -> Option<IpAddr> {
    let value = headers.get(VIEWER_ADDRESS)?.to_str().ok()?;
    let bracketed = value.parse::<SocketAddr>().ok().map(|address| address.ip());
    bracketed.or_else(|| value.rsplit_once(':')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(viewer: &str, behind_cloudfront: bool) -> String {
        let mut context = lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext::default();
        context.http.source_ip = Some(String::from("203.0.113.9"));
        let request = Request::builder().header(VIEWER_ADDRESS, viewer);
        let mut request = request.body(axum::body::Body::empty()).unwrap();
        request.extensions_mut().insert(RequestContext::ApiGatewayV2(context));
        ClientIp::of(&request, behind_cloudfront).address
    }

    #[test]
    fn viewer_address_counts_only_behind_cloudfront() {
        assert_eq!(seen("198.51.100.10:46532", false), "203.0.113.9");
        assert_eq!(seen("198.51.100.10:46532", true), "198.51.100.10");
        let network = seen("2001:db8:1:2:3:4:5:6:46532", true);
        assert_eq!(network, "[2001, db8, 1, 2]/64");
        assert_eq!(seen("[2001:db8:1:2::7]:443", true), network);
        for malformed in ["", "nonsense", "198.51.100.10", "1.2.3:4"] {
            assert_eq!(seen(malformed, true), "203.0.113.9", "{malformed}");
        }
    }
}
