//! The HTTPS client for S3 and the providers.
//!
//! One client is shared, because each loads the root certificates, and loading them took most of a cold start. They are
//! Mozilla's, compiled in as the database driver's are, so that nothing is read from the disk; `cargo update` renews
//! them. The system's own roots, such as those of a company's proxy, are not trusted.

use std::time::Duration;

use aws_sdk_s3::{
    config::{
        SharedHttpClient,
        http::{HttpRequest, HttpResponse},
    },
    primitives::SdkBody,
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    result::ConnectorError,
};
use reqwest::{Body, Client, Request, redirect};
use rustls::{ClientConfig, RootCertStore};

/// Clones share the connections, across invocations of a Lambda.
pub fn client() -> Result<Client, reqwest::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(Duration::from_secs(3))
        // A connection that idled longer in a frozen Lambda is probably dead.
        .pool_idle_timeout(Duration::from_secs(30))
        // No redirects: they would forward API keys.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("newvisions/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Adapts the client for the AWS SDK. Connect and read timeouts are the client's own, not the SDK's.
#[must_use]
pub fn into_aws_http_client(client: Client) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(client));
    http_client_fn(move |_settings, _components| connector.clone())
}

#[derive(Debug)]
struct Connector(Client);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let request = Request::try_from(request.map(Body::wrap)).map_err(connector_error)?;
            let response = http::Response::from(client.execute(request).await.map_err(connector_error)?);
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// The SDK decides by the kind of error whether to retry. The URL is removed, because it contains a user's id.
fn connector_error(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_builder() {
        ConnectorError::user(error.into())
    } else if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}
