//! One HTTP/2 connection to an instance, over TCP or TLS.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::body::Body;
use tower::BoxError;

use crate::tls::Reloading;

/// Bound on one attempt to connect, handshakes included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection without a frame for this long is pinged, and given up when no answer comes.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection: its sending side, and the task that drives it, which ends when no request can be
/// sent on it any more.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Body>,
    pub(super) driver: JoinHandle<()>,
}

/// Connects to `address`, over TLS when `tls` is set; the certificate has to be for `host`.
pub(super) async fn dial(
    address: SocketAddr,
    host: &str,
    tls: Option<&Reloading<ClientConfig>>,
) -> Result<Connection, BoxError> {
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        // Without it a small request may wait for the acknowledgement of the one before.
        stream.set_nodelay(true)?;
        let Some(tls) = tls else {
            return handshake(stream).await;
        };
        let tls = TlsConnector::from(tls.current());
        let stream = tls.connect(ServerName::try_from(host.to_owned())?, stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err("the server does not speak HTTP/2".into());
        }
        handshake(stream).await
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err("no connection came about in time".into()),
    }
}

/// What a stream may have on its way before its reader has taken it.
const STREAM_WINDOW: u32 = 128 << 10;
/// What all streams of a connection may have on their way: as much as HTTP/2 allows (RFC 9113 §6.9.1).
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

async fn handshake(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Connection, BoxError> {
    let (sender, connection) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        // One stream whose reader is slow holds back itself alone: the connection's window is never
        // used up by the windows of its streams.
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(TokioIo::new(stream))
        .await?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a backend has failed");
        }
    });
    Ok(Connection { sender, driver })
}
