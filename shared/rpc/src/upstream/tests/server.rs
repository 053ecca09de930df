//! A server that fails on demand.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// What a server does with a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    Reply,
    /// It answers UNAVAILABLE.
    Unavailable,
    /// It answers UNAVAILABLE, and when to come back.
    Busy,
    /// It resets the stream.
    Reset,
    /// It answers with a status whose details nobody can read, in the head alone.
    Garbled,
    /// The same, in the trailers after a message.
    GarbledTrailers,
    /// It closes the connection.
    Break,
    /// It closes the connection in the middle of the reply.
    Cut,
    /// It answers with a head and nothing more.
    Hang,
    /// It answers with more than any window holds.
    Flood,
}

pub(super) struct Server {
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    state: Arc<State>,
    running: Option<JoinSet<()>>,
}

struct State {
    answer: Mutex<Answer>,
    calls: AtomicUsize,
    connections: AtomicUsize,
    drain: CancellationToken,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::listen(None).await
    }

    pub(super) async fn start_tls(authority: &Authority) -> Self {
        Self::listen(Some(authority.acceptor())).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = State {
            answer: Mutex::new(Answer::Reply),
            calls: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            drain: CancellationToken::new(),
        };
        let mut server = Self {
            address: listener.local_addr().unwrap(),
            tls,
            state: Arc::new(state),
            running: None,
        };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let (state, tls) = (self.state.clone(), self.tls.clone());
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Some(Ok((stream, _))) = state.drain.run_until_cancelled(listener.accept()).await {
                stream.set_nodelay(true).unwrap();
                let (state, tls) = (state.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => connection(stream, state).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(stream, state).await;
                            }
                        }
                    }
                });
            }
            drop(listener);
            while connections.join_next().await.is_some() {}
        });
        self.running = Some(running);
    }

    /// Closes everything at once.
    pub(super) fn kill(&mut self) {
        self.running = None;
    }

    /// Serves again, at the same address.
    pub(super) async fn restart(&mut self) {
        loop {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                return self.serve(listener);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Takes no calls any more, and serves those in flight to their end.
    pub(super) fn drain(&self) {
        self.state.drain.cancel();
    }

    pub(super) fn answer(&self, answer: Answer) {
        *self.state.answer.lock() = answer;
    }

    pub(super) fn calls(&self) -> usize {
        self.state.calls.load(Ordering::Relaxed)
    }

    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: Arc<State>) {
    struct Counted(Arc<State>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
    state.connections.fetch_add(1, Ordering::Relaxed);
    let counted = Counted(state.clone());
    let end = CancellationToken::new();
    let service = service_fn(|request| serve(request, state.clone(), end.clone()));
    // Its tasks end with it, as those of a killed process would.
    let tasks = Tasks::default();
    let served = Builder::new(tasks.clone()).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    tokio::select! {
        _ = served.as_mut() => {}
        () = end.cancelled() => {}
        () = state.drain.cancelled() => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
    drop(counted);
}

#[derive(Clone, Default)]
struct Tasks(TokioExecutor);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.0.execute(future);
    }
}

async fn serve(
    request: Request<Incoming>,
    state: Arc<State>,
    end: CancellationToken,
) -> Result<Response<Body>, &'static str> {
    let _ = request.into_body().collect().await;
    state.calls.fetch_add(1, Ordering::Relaxed);
    let answer = *state.answer.lock();
    match answer {
        Answer::Reply => {
            let frames = [Frame::data(Bytes::from_static(b"reply")), Frame::trailers(ok())];
            Ok(reply(StreamBody::new(tokio_stream(frames)).boxed_unsync()))
        }
        Answer::Unavailable => Ok(refusal(Status::unavailable("the store is away"))),
        Answer::Busy => {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(7)));
            Ok(refusal(Status::with_error_details(
                tonic::Code::Unavailable,
                "busy",
                details,
            )))
        }
        Answer::Garbled => {
            let mut reply = refusal(Status::invalid_argument("wrong"));
            reply.headers_mut().extend(garbled());
            Ok(reply)
        }
        Answer::GarbledTrailers => {
            let mut trailers = garbled();
            trailers.insert("grpc-status", http::HeaderValue::from_static("3"));
            let frames = [Frame::data(Bytes::from_static(b"reply")), Frame::trailers(trailers)];
            Ok(reply(StreamBody::new(tokio_stream(frames)).boxed_unsync()))
        }
        Answer::Reset => Err("reset"),
        Answer::Break => {
            end.cancel();
            std::future::pending().await
        }
        Answer::Cut => {
            let half = futures::stream::iter([Ok(Frame::data(Bytes::from_static(b"re")))]);
            let cut = futures::stream::once(async move {
                // The beginning is on its way before the connection is closed.
                tokio::time::sleep(Duration::from_millis(10)).await;
                end.cancel();
                std::future::pending().await
            });
            Ok(reply(
                StreamBody::new(futures::StreamExt::chain(half, cut)).boxed_unsync(),
            ))
        }
        Answer::Flood => {
            let frames = futures::stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![0; 64 << 10]))));
            Ok(reply(StreamBody::new(frames).boxed_unsync()))
        }
        Answer::Hang => Ok(reply(StreamBody::new(futures::stream::pending()).boxed_unsync())),
    }
}

fn tokio_stream(
    frames: [Frame<Bytes>; 2],
) -> impl futures::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static {
    futures::stream::iter(frames.map(Ok))
}

fn reply(body: Body) -> Response<Body> {
    let mut reply = Response::new(body);
    let grpc = http::HeaderValue::from_static("application/grpc");
    reply.headers_mut().insert(http::header::CONTENT_TYPE, grpc);
    reply
}

fn refusal(status: Status) -> Response<Body> {
    let empty = http_body_util::Empty::new().boxed_unsync();
    status.into_http::<()>().map(|()| empty)
}

/// Details that are no Base64, and a message that is no UTF-8.
fn garbled() -> HeaderMap {
    let details = http::HeaderName::from_static("grpc-status-details-bin");
    let message = http::HeaderName::from_static("grpc-message");
    HeaderMap::from_iter([
        (details, http::HeaderValue::from_static("*not base64*")),
        (message, http::HeaderValue::from_static("%ff%fe")),
    ])
}

fn ok() -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )])
}

/// A certificate authority of its own.
pub(super) struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(parameters, key);
        Self { certificate, issuer }
    }

    pub(super) fn pem(&self) -> String {
        self.certificate.pem()
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}
