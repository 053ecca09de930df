//! The client of webhooks over real connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use quartet_jobs::domain::EgressPolicy;
use quartet_jobs::egress::{EgressClient, EgressError};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::harness::Names;

/// Long enough for any answer of a test.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A web server at 127.0.0.2 that counts its connections and keeps the versions of its requests.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    versions: Arc<Mutex<Vec<Version>>>,
    roots: RootCertStore,
}

impl Server {
    /// With TLS for `hooks.example`, offering these protocols; without TLS where there are none.
    async fn start(protocols: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let certified = rcgen::generate_simple_self_signed(vec!["hooks.example".into()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certified.cert.der().clone()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let tls = (!protocols.is_empty()).then(|| TlsAcceptor::from(Arc::new(config)));
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            versions: Arc::default(),
            roots,
        };
        let (connections, versions) = (server.connections.clone(), server.versions.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (tls, versions) = (tls.clone(), versions.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        versions.lock().unwrap().push(request.version());
                        async move {
                            let body = request.into_body().collect().await.unwrap().to_bytes();
                            Ok::<_, Infallible>(Response::new(Full::new(body)))
                        }
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = match tls {
                        None => builder.serve_connection(TokioIo::new(stream), service).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => builder.serve_connection(TokioIo::new(stream), service).await,
                            Err(_) => return,
                        },
                    };
                });
            }
        });
        server
    }

    fn url(&self, scheme: &str) -> Url {
        format!("{scheme}://hooks.example:{}/hook", self.address.port())
            .parse()
            .unwrap()
    }

    fn versions(&self) -> Vec<Version> {
        self.versions.lock().unwrap().clone()
    }
}

/// A client for which `hooks.example` is this address, and 127.0.0.2 may be called.
fn client(roots: RootCertStore, address: &str) -> EgressClient {
    let policy = EgressPolicy::new(vec!["127.0.0.2".parse().unwrap()]);
    let names = Names([("hooks.example", vec![address.parse().unwrap()])].into());
    EgressClient::trusting(roots, Arc::new(policy), Arc::new(names)).unwrap()
}

async fn post(client: &EgressClient, url: &Url) -> Result<u16, EgressError> {
    let reply = client.post(url, vec![], Bytes::from_static(b"{}"), TIMEOUT).await?;
    Ok(reply.status.as_u16())
}

#[tokio::test]
async fn a_connection_serves_one_call_after_another() {
    for (protocols, scheme, version) in [
        (&[][..], "http", Version::HTTP_11),
        (&["http/1.1"], "https", Version::HTTP_11),
        (&["h2", "http/1.1"], "https", Version::HTTP_2),
    ] {
        let server = Server::start(protocols).await;
        let client = client(server.roots.clone(), "127.0.0.2");
        for _ in 0..3 {
            assert_eq!(post(&client, &server.url(scheme)).await, Ok(200));
        }
        assert_eq!(server.versions(), [version; 3]);
        assert_eq!(server.connections.load(Ordering::SeqCst), 1, "{scheme} {protocols:?}");
    }
}

#[tokio::test]
async fn a_kept_connection_serves_no_name_that_leads_elsewhere() {
    let server = Server::start(&[]).await;
    let policy = Arc::new(EgressPolicy::new(vec!["127.0.0.2".parse().unwrap()]));
    let names = Names(
        [
            ("hooks.example", vec!["127.0.0.2".parse().unwrap()]),
            ("inside.example", vec!["127.0.0.1".parse().unwrap()]),
        ]
        .into(),
    );
    let client = EgressClient::trusting(RootCertStore::empty(), policy, Arc::new(names)).unwrap();
    assert_eq!(post(&client, &server.url("http")).await, Ok(200));
    let inside: Url = format!("http://inside.example:{}/", server.address.port())
        .parse()
        .unwrap();
    let forbidden = EgressError::Forbidden("inside.example".into());
    assert_eq!(post(&client, &inside).await, Err(forbidden));
    let literal: Url = format!("http://127.0.0.1:{}/", server.address.port()).parse().unwrap();
    let forbidden = EgressError::Forbidden("127.0.0.1".into());
    assert_eq!(post(&client, &literal).await, Err(forbidden));
    let literal: Url = "http://[::1]/".parse().unwrap();
    assert_eq!(post(&client, &literal).await, Err(EgressError::Forbidden("::1".into())));
}

#[tokio::test]
async fn a_receiver_without_a_certificate_that_counts_gets_nothing() {
    let server = Server::start(&["h2"]).await;
    let client = client(RootCertStore::empty(), "127.0.0.2");
    let refused = post(&client, &server.url("https")).await;
    assert!(matches!(refused, Err(EgressError::Connect(_))), "{refused:?}");
    assert_eq!(server.versions(), []);
}

#[tokio::test]
async fn a_kept_connection_that_has_ended_costs_no_attempt() {
    // Each connection answers once, promises more, and ends.
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut got, mut buffer) = (Vec::new(), [0; 4_096]);
            while !got.ends_with(b"{}") {
                let read = stream.read(&mut buffer).await.unwrap();
                got.extend_from_slice(&buffer[..read]);
            }
            let answer = "HTTP/1.1 204 No Content\r\nconnection: keep-alive\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let client = client(RootCertStore::empty(), "127.0.0.2");
    let url: Url = format!("http://{address}/").parse().unwrap();
    for _ in 0..20 {
        assert_eq!(post(&client, &url).await, Ok(204));
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let client = client(RootCertStore::empty(), "127.0.0.2");
    let begun = Instant::now();
    let timeout = Duration::from_millis(200);
    let reply = client.post(&url, vec![], Bytes::new(), timeout).await;
    assert_eq!(reply, Err(EgressError::TimedOut));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
