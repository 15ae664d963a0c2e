//! The way out: the one HTTPS client through which a function reaches S3 and the providers.
//!
//! One for all: every client of its own would load its own trusted roots, and loading them was most of a cold
//! start. The roots are Mozilla's, compiled in as the database driver's are, so that nothing is read from the disk;
//! `cargo update` renews them, and the system's own, such as a company's proxy's, are not trusted.

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

/// The client. Its connections are shared by its clones, across invocations.
pub fn client() -> Result<Client, reqwest::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(Duration::from_secs(3))
        // What idled for longer in a frozen Lambda is likely dead.
        .pool_idle_timeout(Duration::from_secs(30))
        // Nobody whom we ask redirects, and a key must not follow one who does.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("newvisions/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The client in the form in which the AWS SDK takes one. Its timeouts for connecting and reading are not the SDK's
/// but the client's own.
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
            let request = Request::try_from(request.map(Body::wrap)).map_err(failed)?;
            let response = http::Response::from(client.execute(request).await.map_err(failed)?);
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// By its kind the SDK decides whether to try again. The address stays out of the log: it names a user.
fn failed(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_builder() {
        ConnectorError::user(error.into())
    } else if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}
