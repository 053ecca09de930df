//! How this process reaches the others: its settings, and what is made of them once.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use quartet_config::{Error, Source};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::address::{Addresses, InvalidAddress};
use super::{Target, Upstream, pool};
use crate::tls::{self, Reloading, wrong};

quartet_config::settings! {
    /// Settings of calls to other services.
    pub struct Config {
        /// Calls that may be in flight to one other service. Beyond it a call waits for a quarter
        /// of a second, and is then refused with 503 `OVERLOADED`.
        max_in_flight: NonZeroUsize = "UPSTREAM_MAX_IN_FLIGHT" or "1024";
        /// Streams, uploads and downloads that may be open to one other service, besides those
        /// calls.
        max_streams: NonZeroUsize = "UPSTREAM_MAX_STREAMS" or "16384";
        /// File of the certificate authorities (PEM) that sign the certificates of `https://`
        /// services; by default the public ones. Read again when it changes, as the other two are.
        ca_file: Option<PathBuf> = "UPSTREAM_CA_FILE";
        /// File of the certificate chain (PEM) with which this process proves itself to `https://`
        /// services that demand it (mutual TLS).
        cert_file: Option<PathBuf> = "UPSTREAM_CERT_FILE";
        /// File of its private key (PEM).
        key_file: Option<PathBuf> = "UPSTREAM_KEY_FILE";
    }
}

/// Makes the upstreams of a process.
#[derive(Clone)]
pub struct Upstreams {
    limits: pool::Limits,
    tls: Arc<Reloading<ClientConfig>>,
}

impl Upstreams {
    /// By the settings of `source`.
    ///
    /// Errors: a setting that is wrong, or a file of certificates that cannot be read.
    pub fn read(source: &Source) -> Result<Self, Error> {
        Self::new(&Config::read(source)?)
    }

    /// By these settings.
    ///
    /// Errors: the file of certificates cannot be read.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let files: Vec<_> = [&config.ca_file, &config.cert_file, &config.key_file]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        let named = files.first().cloned().unwrap_or_default();
        let own = match (config.cert_file.clone(), config.key_file.clone()) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, Some(_)) => return Err(missing("UPSTREAM_CERT_FILE")),
            (Some(_), None) => return Err(missing("UPSTREAM_KEY_FILE")),
        };
        let authorities = config.ca_file.clone();
        let tls = Reloading::new(files, move || client_config(authorities.as_ref(), own.as_ref()))
            .map_err(|rule| wrong("UPSTREAM_CA_FILE", &named, rule))?;
        Ok(Self {
            limits: pool::Limits {
                calls: config.max_in_flight.get(),
                streams: config.max_streams.get(),
            },
            tls: Arc::new(tls),
        })
    }

    /// The backend `name` over the network. `address` is `http://host:port` or
    /// `https://host:port`, or several of them with commas; calls are balanced over all of them and
    /// over all addresses of each name, one HTTP/2 connection each. Names are resolved again every
    /// five seconds. Connects in the background, from now on and after each loss. Call it inside a
    /// tokio runtime.
    pub fn remote(&self, name: &str, address: &str) -> Result<Upstream, InvalidAddress> {
        let addresses: Addresses = address.parse()?;
        let tls = addresses.any_tls().then(|| self.tls.clone());
        Ok(Upstream {
            name: name.into(),
            target: Target::Remote(pool::open(name, addresses, tls, self.limits)),
        })
    }
}

fn missing(name: &str) -> Error {
    Error::Missing {
        name: name.into(),
        expected: "a file in PEM, since the other one of the pair is set".into(),
    }
}

/// TLS for HTTP/2.
fn client_config(authorities: Option<&PathBuf>, own: Option<&(PathBuf, PathBuf)>) -> Result<ClientConfig, String> {
    let roots = match authorities {
        None => RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => tls::roots(file)?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(tls::chain(cert)?, tls::key(key)?)
            .map_err(|error| error.to_string())?,
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
