//! Passwords that are known from breaches: looked up in a range service by k-anonymity, in the form of the
//! one of Have I Been Pwned.
//!
//! The service gets the first five digits of the SHA-1 of a password, which some hundred thousands of
//! passwords share, and returns the rest of each hash that it knows with them. A service that is away, slow
//! or confused keeps nobody from setting a password.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use quartet_kernel::{Deadline, Rule, violations};
use quartet_telemetry::metrics::AUTH_BREACH_CHECKS;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, RootCertStore};
use tokio_util::task::AbortOnDropHandle;

use crate::Error;
use crate::domain::Password;

/// Bytes of an answer that are read at the most. A range has some 40 KiB, padded.
const ANSWER: usize = 256 * 1_024;
/// Lookups at once.
const AT_ONCE: usize = 32;
/// Digits of a hash that leave the suite.
const PREFIX: usize = 5;
/// Digits of a hash that do not.
const SUFFIX: usize = 35;

/// The address of a range service, which the first digits of a hash are appended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeUrl {
    base: String,
    host: String,
    port: u16,
    is_tls: bool,
}

impl FromStr for RangeUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RULE: &str = "expected the URL of a range service, such as `https://api.pwnedpasswords.com/range/`";
        let url: Uri = text.parse().map_err(|_| RULE)?;
        let is_tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(RULE.into()),
        };
        if url.query().is_some() || text.contains(['#', '@']) {
            return Err(RULE.into());
        }
        let host = url.host().filter(|host| !host.is_empty()).ok_or(RULE)?;
        Ok(Self {
            base: url.path().trim_end_matches('/').to_owned(),
            host: host.to_owned(),
            port: url.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            is_tls,
        })
    }
}

/// Looks passwords up, where a service is set. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Breaches(Option<Arc<Service>>);

struct Service {
    url: RangeUrl,
    timeout: Duration,
    tls: TlsConnector,
    places: Semaphore,
}

/// Why nothing is known about a password.
struct Away(String);

impl<E: fmt::Display> From<E> for Away {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Breaches {
    /// Looks up at `url`, for as long as `timeout`.
    pub(crate) fn new(url: Option<RangeUrl>, timeout: Duration) -> Result<Self, rustls::Error> {
        let Some(url) = url else {
            return Ok(Self(None));
        };
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Some(Arc::new(Service {
            url,
            timeout,
            tls: TlsConnector::from(Arc::new(config)),
            places: Semaphore::new(AT_ONCE),
        }))))
    }

    /// Refuses a password that is to be set if it is known from a breach. What cannot be looked up in time
    /// is let through.
    ///
    /// Errors: a violation of `field`.
    pub(crate) async fn check(&self, field: &str, password: &Password, deadline: Deadline) -> Result<(), Error> {
        let Some(service) = &self.0 else {
            return Ok(());
        };
        // The rest of the time is for hashing.
        let timeout = service.timeout.min(deadline.remaining() / 2);
        let looked_up = tokio::time::timeout(timeout, service.lists(password)).await;
        let (outcome, is_known) = match looked_up.unwrap_or_else(|_| Err(Away("it took too long".to_owned()))) {
            Ok(true) => ("breached", true),
            Ok(false) => ("unknown", false),
            Err(Away(error)) => {
                tracing::warn!(error, "a new password could not be looked up among breached ones");
                ("away", false)
            }
        };
        metrics::counter!(AUTH_BREACH_CHECKS, "outcome" => outcome).increment(1);
        match is_known {
            true => {
                let rule = Rule::new("PASSWORD_BREACHED", "is known from a breach of data");
                Err(violations::one(field, rule).into())
            }
            false => Ok(()),
        }
    }
}

impl Service {
    async fn lists(&self, password: &Password) -> Result<bool, Away> {
        let _place = self.places.acquire().await?;
        let hash: String = Sha1::digest(password.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let (prefix, suffix) = hash.split_at(PREFIX);
        is_listed(&self.range(prefix).await?, suffix)
    }

    /// The range of hashes that begin so.
    async fn range(&self, prefix: &str) -> Result<Bytes, Away> {
        let RangeUrl { host, port, is_tls, .. } = &self.url;
        let name = host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((name, *port)).await?;
        if *is_tls {
            let server = ServerName::try_from(name.to_owned())?;
            self.exchange(prefix, self.tls.connect(server, stream).await?).await
        } else {
            self.exchange(prefix, stream).await
        }
    }

    async fn exchange(
        &self,
        prefix: &str,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Bytes, Away> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let RangeUrl { base, host, port, .. } = &self.url;
        let request = Request::get(format!("{base}/{prefix}"))
            .header(HOST, format!("{host}:{port}"))
            .header(USER_AGENT, "quartet")
            // Nobody who counts the bytes of the answer learns which range it is.
            .header("add-padding", "true")
            .body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(Away(format!("it answers {}", answer.status())));
        }
        let body = Limited::new(answer.into_body(), ANSWER).collect().await?;
        Ok(body.to_bytes())
    }
}

/// Whether a range lists the rest of a hash. Lines that are padding have a count of zero.
fn is_listed(range: &[u8], suffix: &str) -> Result<bool, Away> {
    let text = std::str::from_utf8(range)?;
    let mut is_range = false;
    for line in text.lines() {
        let Some((known, count)) = line.trim().split_once(':') else {
            continue;
        };
        let Ok(count) = count.trim().parse::<u64>() else {
            continue;
        };
        if known.len() != SUFFIX || !known.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            continue;
        }
        is_range = true;
        if count > 0 && known.eq_ignore_ascii_case(suffix) {
            return Ok(true);
        }
    }
    match is_range {
        true => Ok(false),
        false => Err(Away("it answers something else than a range".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rest of the SHA-1 of `password`, behind 5BAA6.
    const OF_PASSWORD: &str = "1E4C9B93F3F0682250B6CF8331B7EE68FD8";

    #[test]
    fn a_line_with_a_count_lists_a_hash_and_padding_does_not() {
        let other = "0018A45C4D1DEF81644B54AB7F969B88D65";
        for (range, expected) in [
            (format!("{other}:1\r\n{OF_PASSWORD}:52256179"), true),
            (format!("{OF_PASSWORD}:1").to_lowercase(), true),
            (format!("{other}:1\r\n{OF_PASSWORD}:0\r\n"), false),
            (format!("{other}:3"), false),
            (format!("nonsense\n{OF_PASSWORD}\n{other}:x\n{other}:1"), false),
        ] {
            assert_eq!(is_listed(range.as_bytes(), OF_PASSWORD).ok(), Some(expected), "{range}");
        }
        for nonsense in [&b""[..], b"<html>no:1</html>", b"\xff", b"1E4C9:5"] {
            assert!(is_listed(nonsense, OF_PASSWORD).is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn the_url_of_a_service_is_one_that_can_be_called() {
        let url: RangeUrl = "https://api.pwnedpasswords.com/range/".parse().unwrap();
        assert_eq!((url.base.as_str(), url.port, url.is_tls), ("/range", 443, true));
        let url: RangeUrl = "http://[::1]:8080".parse().unwrap();
        assert_eq!((url.base.as_str(), url.host.as_str(), url.port), ("", "[::1]", 8080));
        for wrong in [
            "",
            "range",
            "ftp://a/",
            "https:///x",
            "https://a/?x=1",
            "https://u:p@a/",
        ] {
            assert!(wrong.parse::<RangeUrl>().is_err(), "{wrong}");
        }
    }
}
