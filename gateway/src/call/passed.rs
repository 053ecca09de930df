//! Headers that pass through as they are: lists that an operator sets.

use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE, TE};
use http::header::{TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName};

use super::metadata;

/// Of one hop alone, or of the gateway's own making.
const NEVER: [HeaderName; 11] = [
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    COOKIE,
    HOST,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Which headers pass.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// Of a request, on to the service as metadata.
    pub request: Vec<HeaderName>,
    /// Of a service's metadata, on to the client.
    pub reply: Vec<HeaderName>,
}

impl Passed {
    /// Reads the names of both lists.
    ///
    /// # Errors
    /// The first name that cannot pass.
    pub fn of<'n>(request: &'n [String], reply: &'n [String]) -> Result<Self, &'n str> {
        Ok(Self {
            request: names(request, metadata::is_own)?,
            reply: names(reply, |_| false)?,
        })
    }

    pub(super) fn forward(&self, from: &HeaderMap, to: &mut HeaderMap) {
        for name in &self.request {
            for value in from.get_all(name) {
                to.append(name.clone(), value.clone());
            }
        }
    }

    /// Passes a reply's metadata on. A header that the gateway has set itself stays.
    pub(super) fn reply(&self, from: &HeaderMap, to: &mut HeaderMap) {
        for name in self.reply.iter().filter(|name| from.contains_key(*name)) {
            if to.contains_key(name) {
                continue;
            }
            for value in from.get_all(name) {
                to.append(name.clone(), value.clone());
            }
        }
    }
}

fn names(texts: &[String], is_own: fn(&HeaderName) -> bool) -> Result<Vec<HeaderName>, &str> {
    let name = |text: &String| {
        let name = HeaderName::try_from(text).ok()?;
        let is_of_grpc = name.as_str().starts_with("grpc-") || name.as_str().ends_with("-bin");
        (!is_of_grpc && !NEVER.contains(&name) && !is_own(&name)).then_some(name)
    };
    texts.iter().map(|text| name(text).ok_or(text.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_answers_for_cannot_be_listed() {
        let list = |name: &str| vec![name.to_owned()];
        for name in ["x-gateway-token", "X-Forwarded-For", "authorization", "idempotency-key"] {
            assert_eq!(Passed::of(&list(name), &[]).unwrap_err(), name);
        }
        for name in [
            "grpc-timeout",
            "te",
            "host",
            "a b",
            "trace-bin",
            "cookie",
            "set-cookie",
            "content-length",
        ] {
            assert_eq!(Passed::of(&list(name), &[]).unwrap_err(), name);
            assert_eq!(Passed::of(&[], &list(name)).unwrap_err(), name);
        }
        let passed = Passed::of(&list("X-Tenant"), &list("ETag")).unwrap();
        assert_eq!(
            (passed.request[0].as_str(), passed.reply[0].as_str()),
            ("x-tenant", "etag")
        );
    }
}
