//! HTTP calls to addresses that users name.
//!
//! The name is resolved here, its addresses are checked against the [`EgressPolicy`], and the
//! connection goes to the very address that was checked: a name that resolves to another one a
//! moment later gains nothing. Redirects are answers like others and are not followed.

mod resolve;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

pub use resolve::{Resolve, SystemResolver};

use crate::domain::EgressPolicy;

/// How many bytes of an answer are read.
const ANSWER: usize = 64 * 1_024;
/// How long one address may take to be connected to.
const CONNECT: Duration = Duration::from_secs(5);

/// Calls addresses that users name. Cheap to clone.
#[derive(Clone)]
pub struct EgressClient {
    policy: Arc<EgressPolicy>,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
}

/// What a receiver answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// How long it wants to be left alone, by `Retry-After` in seconds.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The name leads to no address that the policy allows.
    #[error("{0} leads to no public address")]
    Forbidden(String),
    /// The name does not resolve.
    #[error("{0} does not resolve: {1}")]
    Unresolved(String, io::Error),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// The connection broke off, or what came over it was no HTTP.
    #[error("the connection broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// There was no answer in time.
    #[error("it took too long")]
    TimedOut,
    /// The address cannot be called at all.
    #[error("not an address to call: {0}")]
    Invalid(String),
}

impl EgressClient {
    /// A client that calls what `policy` allows, by names that `resolver` resolves.
    pub fn new(policy: Arc<EgressPolicy>, resolver: Arc<dyn Resolve>) -> Result<Self, rustls::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            policy,
            resolver,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Posts `body` to `url`, and waits for the answer until `timeout` has passed.
    pub async fn post(
        &self,
        url: &Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Reply, EgressError> {
        tokio::time::timeout(timeout, self.call(url, headers, body))
            .await
            .map_err(|_| EgressError::TimedOut)?
    }

    async fn call(
        &self,
        url: &Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Reply, EgressError> {
        let request = request(url, headers, body)?;
        let stream = self.connect(url).await?;
        match url.scheme() {
            "https" => {
                let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(host).map_err(|error| EgressError::Invalid(error.to_string()))?;
                let stream = self.tls.connect(name, stream).await.map_err(EgressError::Connect)?;
                exchange(stream, request).await
            }
            _ => exchange(stream, request).await,
        }
    }

    /// A connection to the first allowed address that accepts one.
    async fn connect(&self, url: &Url) -> Result<TcpStream, EgressError> {
        let mut last = io::Error::other("no address");
        for address in self.addresses(url).await? {
            match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(EgressError::Connect(last))
    }

    /// The allowed addresses that the URL leads to; there is at least one.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, EgressError> {
        let port = url
            .port_or_known_default()
            .ok_or_else(|| EgressError::Invalid("it has no port".into()))?;
        let (name, found) = match url.host() {
            Some(Host::Ipv4(address)) => (address.to_string(), vec![address.into()]),
            Some(Host::Ipv6(address)) => (address.to_string(), vec![address.into()]),
            Some(Host::Domain(name)) => {
                let found = self.resolver.resolve(name).await;
                let found = found.map_err(|error| EgressError::Unresolved(name.to_owned(), error))?;
                (name.to_owned(), found)
            }
            None => return Err(EgressError::Invalid("it has no host".into())),
        };
        let addresses: Vec<SocketAddr> = found
            .into_iter()
            .filter(|address| self.policy.allows(*address))
            .map(|address| SocketAddr::new(address, port))
            .collect();
        match addresses.is_empty() {
            true => Err(EgressError::Forbidden(name)),
            false => Ok(addresses),
        }
    }
}

fn request(
    url: &Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, EgressError> {
    let invalid = |error: &dyn std::error::Error| EgressError::Invalid(error.to_string());
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = url.host_str().unwrap_or_default();
    let host = url
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut request = Request::post(path)
        .header(HOST, HeaderValue::try_from(host).map_err(|error| invalid(&error))?)
        .header(CONTENT_LENGTH, body.len())
        .body(Full::new(body))
        .map_err(|error| invalid(&error))?;
    request.headers_mut().extend(headers);
    Ok(request)
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Reply, EgressError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let reply = Reply {
            status: answer.status(),
            retry_after: retry_after(answer.headers()),
        };
        // Only the status matters. A little of the body is read so that the receiver sees a whole
        // exchange.
        let _ = Limited::new(answer.into_body(), ANSWER).collect().await;
        Ok(reply)
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        reply = &mut answer => reply,
        // The connection may end after the answer has arrived.
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(error.into()),
        },
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
