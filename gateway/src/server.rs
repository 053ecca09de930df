//! Serves the gateway on a port, and stops without failing a request.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode, Version};
use axum::response::Response;
use futures::FutureExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::edge::{Handler, Peer};

/// A client that takes longer to send the head of a request, its first or its next one on a
/// connection of HTTP/1, is cut off, so that idle connections cannot pile up.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest head of a request.
const MAX_HEAD: usize = 64 << 10;
/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// Connections without a request stay open for this long after the last one was accepted.
const LAST_REQUESTS: Duration = Duration::from_millis(500);
/// An accept that fails for want of file descriptors is tried again after this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Whether the gateway is about to stop; `/readyz` answers 503 then.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// Whether the gateway is about to stop.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// One that has begun.
    #[cfg(test)]
    pub(crate) fn begun() -> Self {
        let draining = Self::default();
        draining.begin();
        draining
    }

    fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How long a request may take to begin, and each part of stopping to end.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Time within which the head of a request is read.
    pub(crate) head: Duration,
    /// Serving goes on for this long, while `/readyz` already answers 503.
    pub(crate) delay: Duration,
    /// Then requests in flight have this long to end.
    pub(crate) timeout: Duration,
    /// Cancelled at that time, so that streams end.
    pub(crate) closing: CancellationToken,
    /// The WebSockets, which are closed then; the HTTP server no longer counts them as its
    /// connections.
    pub(crate) sockets: TaskTracker,
}

/// Serves `handler` on `listener` until `stop`, then drains.
pub(crate) async fn serve<H: Handler>(
    handler: Arc<H>,
    listener: TcpListener,
    stop: CancellationToken,
    draining: Draining,
    limits: Limits,
) {
    let builder = builder(limits.head);
    let connections = GracefulShutdown::new();
    let stopped = async {
        stop.cancelled().await;
        draining.begin();
        tokio::time::sleep(limits.delay).await;
    };
    tokio::pin!(stopped);
    let accept = |stream, address| {
        let service = Connected {
            handler: handler.clone(),
            peer: Peer(address),
            draining: draining.clone(),
        };
        spawn(&builder, &connections, service, stream, limits.head);
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => break,
        };
        match accepted {
            Ok((stream, address)) => accept(stream, address),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Connections that clients have made and that were not accepted yet would be reset, with the
    // requests on them.
    while let Some(Ok((stream, address))) = listener.accept().now_or_never() {
        accept(stream, address);
    }
    drop(listener);
    limits.closing.cancel();
    // A request may be on its way on a connection that has brought none yet, such as one that was just
    // accepted. Its answer closes it.
    if connections.count() > 0 {
        tokio::time::sleep(limits.delay.min(LAST_REQUESTS)).await;
    }
    limits.sockets.close();
    let open = connections.count() + limits.sockets.len();
    let ended = async {
        tokio::join!(connections.shutdown(), limits.sockets.wait());
    };
    if tokio::time::timeout(limits.timeout, ended).await.is_err() {
        tracing::warn!(open, "requests were cut off after SHUTDOWN_TIMEOUT");
    }
}

fn builder(head_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// The handler, for the requests of one connection.
struct Connected<H> {
    handler: Arc<H>,
    peer: Peer,
    draining: Draining,
}

impl<H> Clone for Connected<H> {
    fn clone(&self) -> Self {
        Self {
            handler: self.handler.clone(),
            peer: self.peer,
            draining: self.draining.clone(),
        }
    }
}

impl<H: Handler> Connected<H> {
    async fn reply(self, request: Request<Incoming>) -> Response {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(self.peer);
        let keeps = request.version() <= Version::HTTP_11;
        let mut reply = self.handler.handle(request).await;
        // A proxy keeps connections open, and would send a request on one that is just being closed.
        // HTTP/2 has GOAWAY for this.
        if keeps && self.draining.has_begun() && reply.status() != StatusCode::SWITCHING_PROTOCOLS {
            reply
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }
}

fn spawn<H: Handler>(
    builder: &Builder<TokioExecutor>,
    connections: &GracefulShutdown,
    connected: Connected<H>,
    stream: TcpStream,
    head_timeout: Duration,
) {
    // Small replies must not wait for more data.
    let _ = stream.set_nodelay(true);
    // hyper's own timer starts once the client has sent enough to show which version of HTTP it
    // uses, and it may never send that much.
    let begun = CancellationToken::new();
    let begin = begun.clone();
    let peer = connected.peer;
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        begin.cancel();
        // Boxed, so that a connection that waits for its next request does not hold the room for it.
        let reply = Box::pin(connected.clone().reply(request));
        async move { Ok::<_, Infallible>(reply.await) }
    });
    let connection = connections.watch(
        builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned(),
    );
    tokio::spawn(async move {
        tokio::pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = &mut connection => ended,
            () = begun.cancelled() => connection.await,
            () = tokio::time::sleep(head_timeout) => {
                tracing::debug!(peer = %peer.0, "a connection brought no request");
                return;
            }
        };
        // Resets and malformed heads are errors of the client.
        if let Err(error) = ended {
            tracing::debug!(error, peer = %peer.0, "a connection ended early");
        }
    });
}

/// Whether an accept failed for one connection alone, so that the next one can be accepted at once.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::{get, post};
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;

    use super::*;

    struct Running {
        address: std::net::SocketAddr,
        stop: CancellationToken,
        draining: Draining,
        done: tokio::task::JoinHandle<()>,
    }

    async fn start(handler: impl Handler, timeout: Duration) -> Running {
        start_with(handler, timeout, HEAD_TIMEOUT).await
    }

    async fn start_with(handler: impl Handler, timeout: Duration, head: Duration) -> Running {
        start_by(handler, limits(head, timeout)).await
    }

    fn limits(head: Duration, timeout: Duration) -> Limits {
        Limits {
            head,
            delay: Duration::ZERO,
            timeout,
            closing: CancellationToken::new(),
            sockets: TaskTracker::new(),
        }
    }

    async fn start_by(handler: impl Handler, limits: Limits) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, draining) = (CancellationToken::new(), Draining::default());
        let done = tokio::spawn(serve(
            Arc::new(handler),
            listener,
            stop.clone(),
            draining.clone(),
            limits,
        ));
        Running {
            address,
            stop,
            draining,
            done,
        }
    }

    async fn send(stream: &mut TcpStream, text: &str) {
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn read_to_end(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        // A reset after the reply was read is an end as well.
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    }

    #[tokio::test]
    async fn a_request_in_flight_is_answered_after_the_signal_to_stop() {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begin, wait) = (begun.clone(), go_on.clone());
        let route = get(async move || {
            begin.notify_one();
            wait.notified().await;
            "done"
        });
        let running = start(Router::new().route("/", route), Duration::from_secs(10)).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        send(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        begun.notified().await;

        assert!(!running.draining.has_begun());
        running.stop.cancel();
        while !running.draining.has_begun() {
            tokio::task::yield_now().await;
        }
        go_on.notify_one();
        let reply = read_to_end(&mut stream).await;
        assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with("done"), "{reply}");
        running.done.await.unwrap();
        assert!(TcpStream::connect(running.address).await.is_err());
    }

    #[tokio::test]
    async fn a_kept_connection_is_closed_with_the_next_answer_once_it_is_about_to_stop() {
        let limits = Limits {
            delay: Duration::from_secs(60),
            ..limits(HEAD_TIMEOUT, Duration::from_secs(5))
        };
        let running = start_by(Router::new().route("/", get(async || "done")), limits).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        send(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut reply = String::new();
        while !reply.ends_with("done") {
            reply.push(char::from(stream.read_u8().await.unwrap()));
        }
        assert!(!reply.contains("connection:"), "{reply}");
        running.stop.cancel();
        while !running.draining.has_begun() {
            tokio::task::yield_now().await;
        }
        send(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let reply = tokio::time::timeout(Duration::from_secs(10), read_to_end(&mut stream))
            .await
            .expect("the connection is closed");
        assert!(
            reply.contains("connection: close") && reply.ends_with("done"),
            "{reply}"
        );
    }

    #[tokio::test]
    async fn a_request_on_a_fresh_connection_is_answered_after_the_last_one_was_accepted() {
        let limits = Limits {
            delay: Duration::from_millis(500),
            ..limits(HEAD_TIMEOUT, Duration::from_secs(5))
        };
        let closing = limits.closing.clone();
        let running = start_by(Router::new().route("/", get(async || "done")), limits).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        running.stop.cancel();
        closing.cancelled().await;
        send(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let reply = read_to_end(&mut stream).await;
        assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with("done"), "{reply}");
        running.done.await.unwrap();
    }

    #[tokio::test]
    async fn a_request_that_does_not_end_is_cut_off() {
        let begun = Arc::new(Notify::new());
        let begin = begun.clone();
        let route = get(async move || {
            begin.notify_one();
            std::future::pending::<&'static str>().await
        });
        let running = start(Router::new().route("/", route), Duration::from_millis(50)).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        send(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        begun.notified().await;
        running.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), running.done)
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn the_answer_to_a_body_that_is_too_large_reaches_a_client_that_sends_it_all_first() {
        let config = crate::config::Config::read(&quartet_config::Source::of([("MAX_BODY_SIZE", "64KiB")])).unwrap();
        let routes = Router::new().route("/", post(async |body: Bytes| body.len().to_string()));
        let router = crate::edge::Edge::new(&config, quartet_clock::Clock::system()).around(routes);
        let running = start(router, Duration::from_secs(5)).await;
        let body = vec![b'a'; 10 << 20];
        for head in [
            format!("content-length: {}", body.len()),
            "transfer-encoding: chunked".into(),
        ] {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            send(
                &mut stream,
                &format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{head}\r\n\r\n"),
            )
            .await;
            if head.contains("chunked") {
                send(&mut stream, &format!("{:x}\r\n", body.len())).await;
            }
            stream.write_all(&body).await.unwrap();
            if head.contains("chunked") {
                send(&mut stream, "\r\n0\r\n\r\n").await;
            }
            let reply = read_to_end(&mut stream).await;
            assert!(
                reply.starts_with("HTTP/1.1 413") && reply.contains("body_too_large"),
                "{head}: {reply}"
            );
        }
    }

    #[tokio::test]
    async fn a_connection_that_brings_no_request_is_closed() {
        let running = start_with(Router::new(), Duration::from_secs(5), Duration::from_millis(100)).await;
        // Nothing at all, the beginning of HTTP/2's preface, and a head that does not end.
        for beginning in ["", "PRI * HT", "GET / HTTP/1.1\r\nhost: a\r\n"] {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            send(&mut stream, beginning).await;
            tokio::time::timeout(Duration::from_secs(10), read_to_end(&mut stream))
                .await
                .unwrap_or_else(|_| panic!("still open after `{beginning}`"));
        }
    }

    #[tokio::test]
    async fn a_connection_that_brings_no_second_request_is_closed_and_a_slow_reply_is_not_cut_off() {
        let slow = get(async || {
            tokio::time::sleep(Duration::from_millis(400)).await;
            "done"
        });
        let router = Router::new().route("/", slow);
        let running = start_with(router, Duration::from_secs(5), Duration::from_millis(100)).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        send(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let reply = tokio::time::timeout(Duration::from_secs(10), read_to_end(&mut stream))
            .await
            .expect("an idle connection is closed");
        assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with("done"), "{reply}");
    }
}
