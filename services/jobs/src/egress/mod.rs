//! HTTP calls to addresses that users name.
//!
//! A process has one client, over HTTP/1.1 or, where the receiver offers it, HTTP/2. It keeps
//! connections for the next call to the same host. When it makes one, the name is resolved here,
//! its addresses are checked against the [`EgressPolicy`], and the connection goes to the very
//! address that was checked: a name that resolves to another one a moment later gains nothing.
//! Redirects are answers like others and are not followed.

mod connector;
mod resolve;

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use tokio_rustls::TlsConnector;
use url::Url;

pub use resolve::{Resolve, SystemResolver};

use crate::domain::EgressPolicy;
use connector::Connector;

/// How many bytes of an answer are read.
const ANSWER: usize = 64 * 1_024;
/// How long a connection is kept that no call uses.
const IDLE: Duration = Duration::from_secs(30);
/// Connections to one host that are kept while no call uses them.
const IDLE_PER_HOST: usize = 2;

/// Calls addresses that users name. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct EgressClient {
    client: Client<Connector, Full<Bytes>>,
}

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// How long it wants to be left alone, by `Retry-After` in seconds.
    pub retry_after: Option<Duration>,
    /// Its body; empty when it was longer than 64 KiB, or broke off.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The name leads to no address that the policy allows.
    #[error("{0} leads to no public address")]
    Forbidden(String),
    /// The name does not resolve.
    #[error("{0} does not resolve: {1}")]
    Unresolved(String, String),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection broke off, or what came over it was no HTTP.
    #[error("the connection broke off: {0}")]
    Broken(String),
    /// There was no answer in time.
    #[error("it took too long")]
    TimedOut,
    /// The address cannot be called at all.
    #[error("not an address to call: {0}")]
    Invalid(String),
}

impl EgressClient {
    /// A client that calls what `policy` allows, by names that `resolver` resolves, and that trusts
    /// the authorities that browsers trust.
    pub fn new(policy: Arc<EgressPolicy>, resolver: Arc<dyn Resolve>) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        Self::trusting(roots, policy, resolver)
    }

    /// A client that trusts these authorities.
    pub fn trusting(
        roots: RootCertStore,
        policy: Arc<EgressPolicy>,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let connector = Connector {
            policy,
            resolver,
            tls: TlsConnector::from(Arc::new(config)),
        };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .build(connector);
        Ok(Self { client })
    }

    /// Posts `body` to `url`, and waits for the answer until `timeout` has passed.
    pub async fn post(
        &self,
        url: &Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Reply, EgressError> {
        let request = request(url, headers, body)?;
        let answered = async {
            // A connection that was kept may end just as the call is sent. The call is one that may
            // arrive twice, so that it is sent once more, over a new connection.
            match self.exchange(request.clone()).await {
                Err(EgressError::Broken(_)) => self.exchange(request).await,
                answered => answered,
            }
        };
        tokio::time::timeout(timeout, answered)
            .await
            .map_err(|_| EgressError::TimedOut)?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, EgressError> {
        let answer = self.client.request(request).await?;
        let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
        // Of most answers only the status matters. A little of the body is read in any case, so that the
        // receiver sees a whole exchange, and the connection is free for the next one.
        let body = Limited::new(answer.into_body(), ANSWER).collect().await;
        Ok(Reply {
            status,
            retry_after,
            body: body.map(Collected::to_bytes).unwrap_or_default(),
        })
    }
}

impl EgressError {
    fn connect(error: io::Error) -> Self {
        Self::Connect(error.to_string())
    }
}

impl From<Error> for EgressError {
    fn from(error: Error) -> Self {
        let mut source = error.source();
        while let Some(cause) = source {
            // What the connector failed with.
            if let Some(known) = cause.downcast_ref::<Self>() {
                return known.clone();
            }
            source = cause.source();
        }
        let cause = error.source().map(ToString::to_string);
        Self::Broken(cause.unwrap_or_else(|| error.to_string()))
    }
}

fn request(
    url: &Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, EgressError> {
    let mut request = Request::post(url.as_str())
        .body(Full::new(body))
        .map_err(|error| EgressError::Invalid(error.to_string()))?;
    request.headers_mut().extend(headers);
    Ok(request)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
