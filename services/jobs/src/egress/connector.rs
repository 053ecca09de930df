//! Connections to addresses that were checked, with TLS where the URL wants it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{io, net};

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{EgressError, Resolve};
use crate::domain::EgressPolicy;

/// How long one address may take to be connected to, and how long the handshake of TLS.
const CONNECT: Duration = Duration::from_secs(5);

/// Makes the connections of the client. A connection is made to an address that was checked, and
/// stays with it: one that is kept for the next call leads nowhere else, whatever its name means
/// by then.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) policy: Arc<EgressPolicy>,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) tls: TlsConnector,
}

/// A connection, with or without TLS.
pub(super) struct Stream {
    io: Pin<Box<dyn ReadWrite>>,
    /// Whether both sides have agreed on HTTP/2 (ALPN).
    is_http2: bool,
}

trait ReadWrite: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> ReadWrite for T {}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = EgressError;
    type Future = BoxFuture<'static, Result<Self::Response, EgressError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await.map(TokioIo::new) })
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri) -> Result<Stream, EgressError> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = self.reach(host, port).await?;
        if !is_tls {
            return Ok(Stream {
                io: Box::pin(stream),
                is_http2: false,
            });
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|error| EgressError::Invalid(error.to_string()))?;
        let stream = within(self.tls.connect(name, stream))
            .await
            .map_err(EgressError::connect)?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream {
            io: Box::pin(stream),
            is_http2,
        })
    }

    /// A connection to the first allowed address that accepts one.
    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream, EgressError> {
        let mut last = io::Error::other("no address");
        for address in self.addresses(host).await? {
            match within(TcpStream::connect(SocketAddr::new(address, port))).await {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(EgressError::connect)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(EgressError::connect(last))
    }

    /// The allowed addresses of a host; there is at least one.
    async fn addresses(&self, host: &str) -> Result<Vec<net::IpAddr>, EgressError> {
        let found = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => {
                let found = self.resolver.resolve(host).await;
                found.map_err(|error| EgressError::Unresolved(host.to_owned(), error.to_string()))?
            }
        };
        let allowed = found.into_iter().filter(|address| self.policy.allows(*address));
        let allowed: Vec<net::IpAddr> = allowed.collect();
        match allowed.is_empty() {
            true => Err(EgressError::Forbidden(host.to_owned())),
            false => Ok(allowed),
        }
    }
}

async fn within<T>(connected: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(CONNECT, connected).await {
        Ok(connected) => connected,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self.is_http2 {
            true => Connected::new().negotiated_h2(),
            false => Connected::new(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_read(cx, into)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(cx)
    }
}
