//! What the programs of a secured suite prove themselves with: certificates of an authority of its
//! own, and a key pair for each.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tonic::transport::{Channel, Endpoint};

/// Who has a key pair: the programs, and whoever acts for the suite as a whole, such as a test.
pub const SUITE: &str = "quartet";

/// The files of a secured suite.
pub struct Vault {
    folder: PathBuf,
    authority: Mutex<Authority>,
    programs: Vec<&'static str>,
}

struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(Vec::new()).expect("names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(parameters, key);
        Self { certificate, issuer }
    }

    /// A certificate for this machine, and its key.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let parameters = CertificateParams::new(names).expect("names");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

fn key_pair() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).expect("a key")
}

/// Puts a file in the place of another at once, as an orchestrator does.
fn put(file: &Path, content: &str) {
    let new = file.with_extension("new");
    fs::write(&new, content).expect("the folder is writable");
    fs::rename(new, file).expect("the folder is writable");
}

impl Vault {
    /// Makes the files in `folder`, for these programs.
    pub fn new(folder: &Path, programs: &[&'static str]) -> Self {
        let vault = Self {
            folder: folder.join("vault"),
            authority: Mutex::new(Authority::new()),
            programs: programs.iter().copied().chain([SUITE]).collect(),
        };
        fs::create_dir_all(vault.public_keys()).expect("the folder is writable");
        put(&vault.authorities(), &vault.authority.lock().certificate);
        vault.issue(&vault.programs);
        for program in &vault.programs {
            let pair = key_pair();
            put(
                &vault.public_keys().join(format!("{program}.pem")),
                &pair.public_key_pem(),
            );
            put(&vault.private_key(program), &pair.serialize_pem());
        }
        vault
    }

    /// The settings with which a program uses its files.
    pub fn settings(&self, program: &str) -> Vec<(String, String)> {
        let (certificate, key) = self.certificate(program);
        [
            ("SERVER_TLS_CERT_FILE", &certificate),
            ("SERVER_TLS_KEY_FILE", &key),
            ("SERVER_TLS_CLIENT_CA_FILE", &self.authorities()),
            ("UPSTREAM_CERT_FILE", &certificate),
            ("UPSTREAM_KEY_FILE", &key),
            ("UPSTREAM_CA_FILE", &self.authorities()),
            ("SERVICE_KEY_FILE", &self.private_key(program)),
            ("SERVICE_KEYS_DIR", &self.public_keys()),
        ]
        .map(|(name, file)| (name.to_owned(), file.display().to_string()))
        .into()
    }

    /// The private key with which a program signs its tokens.
    pub fn private_key(&self, program: &str) -> PathBuf {
        self.folder.join(format!("{program}.private"))
    }

    fn public_keys(&self) -> PathBuf {
        self.folder.join("public")
    }

    fn authorities(&self) -> PathBuf {
        self.folder.join("authorities.pem")
    }

    fn certificate(&self, program: &str) -> (PathBuf, PathBuf) {
        let file = |end: &str| self.folder.join(format!("{program}.{end}"));
        (file("crt"), file("key"))
    }

    /// Gives these programs certificates of the last authority.
    pub fn issue(&self, programs: &[&str]) {
        for program in programs {
            let (certificate, key) = self.authority.lock().issue();
            let files = self.certificate(program);
            // A reader between the two finds a pair that does not match, and keeps the one of
            // before.
            put(&files.1, &key);
            put(&files.0, &certificate);
        }
    }

    /// Puts what scripts/identities.sh has made in the place of these programs' files; its
    /// administrator is the suite.
    pub fn take(&self, made: &Path, programs: &[&str]) {
        let read =
            |file: PathBuf| fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        put(&self.authorities(), &read(made.join("authority.crt")));
        for (program, folder) in programs.iter().map(|name| (*name, *name)).chain([(SUITE, "admin")]) {
            let (certificate, key) = self.certificate(program);
            put(&certificate, &read(made.join(folder).join("tls.crt")));
            put(&key, &read(made.join(folder).join("tls.key")));
        }
        for program in programs {
            put(
                &self.private_key(program),
                &read(made.join(program).join("service.key")),
            );
            let public = read(made.join("keys").join(format!("{program}.pem")));
            put(&self.public_keys().join(format!("{program}.pem")), &public);
        }
    }

    /// Makes another authority, beside which the one of before still counts.
    pub fn add_authority(&self) {
        let new = Authority::new();
        let both = format!("{}{}", self.authority.lock().certificate, new.certificate);
        put(&self.authorities(), &both);
        *self.authority.lock() = new;
    }

    /// From now on the last authority counts alone.
    pub fn drop_old_authority(&self) {
        put(&self.authorities(), &self.authority.lock().certificate);
    }

    /// Makes another key pair of a program, whose public key counts beside the one of before.
    pub fn next_key(&self, program: &str) -> NextKey {
        let pair = key_pair();
        let next = self.public_keys().join(format!("{program}.next.pem"));
        put(&next, &pair.public_key_pem());
        let private = self.folder.join(format!("{program}.private.next"));
        put(&private, &pair.serialize_pem());
        NextKey {
            private,
            used: self.private_key(program),
            next,
            public: self.public_keys().join(format!("{program}.pem")),
        }
    }

    /// What a program shows to others now, and whom it takes.
    pub fn identity(&self, program: &str) -> ClientConfig {
        let (certificate, key) = self.certificate(program);
        let chain = CertificateDer::pem_file_iter(certificate).expect("a file");
        let chain = chain.collect::<Result<_, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let builder = self.trusting().with_client_auth_cert(chain, key);
        http2(builder.expect("the key is that of the certificate"))
    }

    /// The identity of nobody, who takes the suite for what it is.
    pub fn nobody(&self) -> ClientConfig {
        http2(self.trusting().with_no_client_auth())
    }

    /// The identity of somebody with a certificate of an authority of their own.
    pub fn stranger(&self) -> ClientConfig {
        let (certificate, key) = Authority::new().issue();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let builder = self.trusting().with_client_auth_cert(vec![certificate], key);
        http2(builder.expect("the key is that of the certificate"))
    }

    fn trusting(
        &self,
    ) -> tokio_rustls::rustls::ConfigBuilder<ClientConfig, tokio_rustls::rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(self.authorities()).expect("a file") {
            roots.add(certificate.expect("a certificate")).expect("an authority");
        }
        ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_root_certificates(roots)
    }
}

fn http2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// A key pair that is to take the place of another.
pub struct NextKey {
    private: PathBuf,
    used: PathBuf,
    next: PathBuf,
    public: PathBuf,
}

impl NextKey {
    /// Its private key, before the program has it.
    pub fn private(&self) -> &Path {
        &self.private
    }

    /// The program signs with it from now on.
    pub fn give(&self) {
        fs::copy(&self.private, self.private.with_extension("copy")).expect("a file");
        fs::rename(self.private.with_extension("copy"), &self.used).expect("a file");
    }

    /// The public key of before counts no longer.
    pub fn finish(&self) {
        fs::rename(&self.next, &self.public).expect("a file");
    }
}

/// A handshake with whoever listens at `address`.
pub async fn handshake(address: &str, identity: &ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(Arc::new(identity.clone()));
    connector.connect(ServerName::from(address.ip()), stream).await
}

/// A gRPC channel over TLS.
pub async fn channel(endpoint: Endpoint, address: &str, identity: ClientConfig) -> Result<Channel, String> {
    let address = address.to_owned();
    let connector = tower::service_fn(move |_| {
        let (address, identity) = (address.clone(), identity.clone());
        async move { handshake(&address, &identity).await.map(TokioIo::new) }
    });
    let connected = endpoint.connect_with_connector(connector).await;
    connected.map_err(|error| format!("{error:?}"))
}
