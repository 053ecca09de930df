//! TLS between processes: settings, and files of certificates that are read again when they change.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures::Stream;
use parking_lot::Mutex;
use quartet_config::{Error, Source};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How often files are looked at, when a connection is made.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bound on a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections whose handshake is done and that wait to be served.
const WAITING: usize = 64;

quartet_config::settings! {
    /// Settings of TLS in front of services.
    pub struct Config {
        /// File of the certificate chain (PEM) with which a service proves itself: it serves TLS then,
        /// and others reach it by `https://`. Read again when it changes, as the other files are.
        cert_file: Option<PathBuf> = "SERVER_TLS_CERT_FILE";
        /// File of its private key (PEM).
        key_file: Option<PathBuf> = "SERVER_TLS_KEY_FILE";
        /// File of the certificate authorities (PEM) that sign the certificates of callers. With it a
        /// service takes connections of those alone who have one (mutual TLS).
        client_ca_file: Option<PathBuf> = "SERVER_TLS_CLIENT_CA_FILE";
    }
}

/// What is made of files, and made anew when one of them changes.
pub(crate) struct Reloading<T> {
    files: Vec<PathBuf>,
    build: Box<dyn Fn() -> Result<T, String> + Send + Sync>,
    state: Mutex<State<T>>,
}

struct State<T> {
    current: Arc<T>,
    stamps: Vec<Stamp>,
    looked_at: Instant,
}

/// What shows that a file has changed; `None` while it is not there.
type Stamp = Option<(SystemTime, u64)>;

impl<T> Reloading<T> {
    /// Makes it for the first time.
    pub(crate) fn new(
        files: Vec<PathBuf>,
        build: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        // Before the files are read: one that changes meanwhile is read again.
        let stamps = stamps(&files);
        let state = State {
            current: Arc::new(build()?),
            stamps,
            looked_at: Instant::now(),
        };
        Ok(Self {
            files,
            build: Box::new(build),
            state: Mutex::new(state),
        })
    }

    /// What the files hold now; what they held before, while they are wrong.
    pub(crate) fn current(&self) -> Arc<T> {
        let mut state = self.state.lock();
        if state.looked_at.elapsed() < LOOK_EVERY {
            return state.current.clone();
        }
        state.looked_at = Instant::now();
        let stamps = stamps(&self.files);
        if stamps != state.stamps {
            state.stamps = stamps;
            match (self.build)() {
                Ok(built) => {
                    tracing::info!(files = ?self.files, "files of certificates were read again");
                    state.current = Arc::new(built);
                }
                Err(error) => tracing::error!(files = ?self.files, error, "files of certificates are wrong"),
            }
        }
        state.current.clone()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(stamp).collect()
}

/// A setting whose file is wrong.
pub(crate) fn wrong(name: &str, file: &std::path::Path, rule: String) -> Error {
    Error::Invalid {
        name: name.into(),
        shown: file.display().to_string(),
        origin: "its layer".into(),
        rule,
    }
}

/// The authorities in a file.
pub(crate) fn roots(file: &PathBuf) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(file)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

/// The certificates in a file; at least one.
pub(crate) fn chain(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = |error: tokio_rustls::rustls::pki_types::pem::Error| error.to_string();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(read)?.collect();
    match chain.map_err(read)? {
        chain if chain.is_empty() => Err("expected at least one certificate in PEM".into()),
        chain => Ok(chain),
    }
}

/// The private key in a file.
pub(crate) fn key(file: &PathBuf) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| error.to_string())
}

/// What a service proves itself with, and whom it takes.
#[derive(Clone)]
pub struct ServerTls(Arc<Reloading<ServerConfig>>);

impl ServerTls {
    /// By the settings; `None` where services serve plain HTTP/2.
    ///
    /// Errors: a file is missing or wrong.
    pub fn read(source: &Source) -> Result<Option<Self>, Error> {
        Self::new(&Config::read(source)?)
    }

    /// By these settings.
    ///
    /// Errors: a file is missing or wrong.
    pub fn new(config: &Config) -> Result<Option<Self>, Error> {
        let missing = |name: &str| Error::Missing {
            name: name.into(),
            expected: "a file in PEM, since other settings of TLS are set".into(),
        };
        let (cert, key) = match (config.cert_file.clone(), config.key_file.clone()) {
            (None, None) if config.client_ca_file.is_none() => return Ok(None),
            (Some(cert), Some(key)) => (cert, key),
            (None, _) => return Err(missing("SERVER_TLS_CERT_FILE")),
            (_, None) => return Err(missing("SERVER_TLS_KEY_FILE")),
        };
        let clients = config.client_ca_file.clone();
        let files = [&cert, &key].into_iter().chain(&clients).cloned().collect();
        let named = cert.clone();
        let build = move || server_config(&cert, &key, clients.as_ref());
        let reloading = Reloading::new(files, build).map_err(|rule| wrong("SERVER_TLS_CERT_FILE", &named, rule))?;
        Ok(Some(Self(Arc::new(reloading))))
    }

    /// Accepts connections until the stream is dropped. A handshake holds up its own connection alone.
    pub(crate) fn accept(self, listener: TcpListener) -> impl Stream<Item = io::Result<TlsConnection>> {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = sender.closed() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, peer)) = accepted else {
                    // Such as too many open files; the next one may fare better.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let (acceptor, sender) = (TlsAcceptor::from(self.0.current()), sender.clone());
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => drop(sender.send(Ok(TlsConnection(stream))).await),
                        // Such as a probe of the port.
                        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                            tracing::debug!(%error, %peer, "a handshake broke off");
                        }
                        Ok(Err(error)) => tracing::warn!(%error, %peer, "a handshake has failed"),
                        Err(_) => tracing::debug!(%peer, "a handshake took too long"),
                    }
                });
            }
        });
        futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)))
    }
}

fn server_config(cert: &PathBuf, key_file: &PathBuf, clients: Option<&PathBuf>) -> Result<ServerConfig, String> {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(file)?), provider)
                .build()
                .map_err(|error| error.to_string())?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain(cert)?, key(key_file)?)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// A connection whose handshake is done.
pub(crate) struct TlsConnection(TlsStream<TcpStream>);

impl Connected for TlsConnection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.0.get_ref().0.connect_info()
    }
}

impl AsyncRead for TlsConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic::transport::Server;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    use super::*;
    use crate::upstream::{Config as UpstreamConfig, Upstream, Upstreams};

    struct Authority {
        certificate: rcgen::Certificate,
        issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    }

    impl Authority {
        fn new() -> Self {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
            parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let certificate = parameters.self_signed(&key).unwrap();
            let issuer = rcgen::Issuer::new(parameters, key);
            Self { certificate, issuer }
        }

        /// Writes a certificate and its key into `folder`, and where they are.
        fn issue(&self, folder: &std::path::Path, name: &str) -> (PathBuf, PathBuf) {
            let key = rcgen::KeyPair::generate().unwrap();
            let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
            let files = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
            std::fs::write(&files.0, certificate.pem()).unwrap();
            std::fs::write(&files.1, key.serialize_pem()).unwrap();
            files
        }

        fn publish(&self, folder: &std::path::Path) -> PathBuf {
            let file = folder.join("authority.pem");
            std::fs::write(&file, self.certificate.pem()).unwrap();
            file
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("quartet-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Serves gRPC health; its address.
    async fn serve(config: &Config) -> String {
        let tls = ServerTls::new(config).unwrap().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (_, health) = tonic_health::server::health_reporter();
        let server = Server::builder().add_service(health);
        tokio::spawn(server.serve_with_incoming(tls.accept(listener)));
        format!("https://localhost:{port}")
    }

    fn client(ca: &std::path::Path, own: Option<&(PathBuf, PathBuf)>) -> Upstreams {
        let mut config = UpstreamConfig::read(&Source::default()).unwrap();
        config.ca_file = Some(ca.to_owned());
        config.cert_file = own.map(|(cert, _)| cert.clone());
        config.key_file = own.map(|(_, key)| key.clone());
        Upstreams::new(&config).unwrap()
    }

    async fn check(upstream: &Upstream) -> Code {
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        request.set_timeout(Duration::from_secs(5));
        let checked = HealthClient::new(upstream.clone()).check(request).await;
        checked.map_or_else(|status| status.code(), |_| Code::Ok)
    }

    /// Whether the service is reached, once there has been time to connect.
    async fn reaches(upstreams: &Upstreams, url: &str) -> bool {
        let upstream = upstreams.remote("health", url).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            if check(&upstream).await == Code::Ok {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    #[tokio::test]
    async fn mutual_tls_takes_whoever_has_a_certificate_and_nobody_else() {
        let folder = folder("mutual");
        let authority = Authority::new();
        let ca = authority.publish(&folder);
        let (cert, key) = authority.issue(&folder, "server");
        let config = Config {
            cert_file: Some(cert),
            key_file: Some(key),
            client_ca_file: Some(ca.clone()),
        };
        let url = serve(&config).await;
        let own = authority.issue(&folder, "client");
        assert!(reaches(&client(&ca, Some(&own)), &url).await);
        let strangers = Authority::new().issue(&folder, "stranger");
        for own in [None, Some(&strangers)] {
            assert!(!reaches(&client(&ca, own), &url).await, "{own:?}");
        }
        assert!(!reaches(&client(&ca, None), &url.replace("https", "http")).await);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn files_are_read_again_when_they_change() {
        let folder = folder("rotation");
        let old = Authority::new();
        let ca = old.publish(&folder);
        let (cert, key) = old.issue(&folder, "server");
        let config = Config {
            cert_file: Some(cert),
            key_file: Some(key),
            client_ca_file: None,
        };
        let url = serve(&config).await;
        let upstreams = client(&ca, None);
        assert!(reaches(&upstreams, &url).await);
        // Both sides have files of another authority now; neither is started again.
        let new = Authority::new();
        new.issue(&folder, "server");
        new.publish(&folder);
        let old_file = folder.join("old.pem");
        std::fs::write(&old_file, old.certificate.pem()).unwrap();
        let behind = client(&old_file, None);
        let begun = Instant::now();
        while !reaches(&upstreams, &url).await || reaches(&behind, &url).await {
            assert!(begun.elapsed() < Duration::from_secs(30), "the old files still count");
        }
        // A file that is wrong changes nothing.
        std::fs::write(folder.join("server.key"), "no key").unwrap();
        let begun = Instant::now();
        while begun.elapsed() < LOOK_EVERY * 2 {
            assert!(reaches(&upstreams, &url).await);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn half_of_the_settings_stops_the_start() {
        let half = Config {
            cert_file: Some("server.pem".into()),
            key_file: None,
            client_ca_file: None,
        };
        assert!(ServerTls::new(&half).is_err());
        let only_clients = Config {
            cert_file: None,
            key_file: None,
            client_ca_file: Some("ca.pem".into()),
        };
        assert!(ServerTls::new(&only_clients).is_err());
    }
}
