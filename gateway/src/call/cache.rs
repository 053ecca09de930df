//! Replies that are kept, and requests that need none because the client has it (RFC 9110 §13,
//! RFC 9111).
//!
//! A method declares what may be kept. Every such reply has a strong `ETag`; one that the cache has
//! is served without a call. An entry is its caller's alone.

mod tag;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use quartet_cache::{Cache, Lookup, Ticket};
use quartet_rpc::User;
use quartet_telemetry::metrics::CACHE_LOOKUPS;
use tokio::sync::watch;

use super::plan::cache::CachePlan;
use super::reply::JSON;
use super::status;
use crate::problem::Problem;

/// Larger replies are made anew each time.
const MAX_ENTRY: usize = 256 << 10;

/// A reply that was made stays in flight for so long, for those who had looked before it was kept.
const LINGER: Duration = Duration::from_millis(500);

/// The replies that are being made, by what they answer: who asks for one of them meanwhile waits
/// for it, so that a stampede is one call. A ticket has the versions of its tags, so that nobody gets
/// a reply from before a write. Clones are one.
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<Replies>>);

type Replies = HashMap<Ticket, watch::Receiver<Option<Entry>>>;

/// A reply as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    etag: HeaderValue,
    body: Bytes,
}

/// A request for a reply that may be kept.
pub(super) struct Request<'a> {
    pub(super) plan: &'a CachePlan,
    pub(super) route: &'a str,
    pub(super) cache: &'a Cache,
    pub(super) in_flight: &'a InFlight,
    pub(super) client_max_age: Duration,
    pub(super) user: Option<&'a User>,
    /// What the reply is forgotten by; see [`CachePlan::tags`].
    pub(super) tags: Option<Vec<String>>,
    pub(super) parts: &'a Parts,
}

impl Request<'_> {
    /// The reply: the one that is kept, or what `make` makes.
    pub(super) async fn serve(
        self,
        make: impl AsyncFnOnce() -> Result<Response<Body>, Problem>,
    ) -> Result<Response<Body>, Problem> {
        let lookup = match &self.tags {
            Some(tags) if !self.plan.ttl.is_zero() => self.cache.find(self.key(), tags).await,
            _ => Lookup::Off,
        };
        let made = match lookup {
            Lookup::Hit(packed) => match Entry::unpack(packed) {
                Some(entry) => {
                    self.record("hit");
                    return Ok(self.respond(&entry));
                }
                None => make().await?,
            },
            Lookup::Miss(ticket) => match self.in_flight.join(&ticket) {
                Role::Leader(leader) => {
                    self.record("miss");
                    let response = make().await?;
                    return match kept(response).await? {
                        Kept::Entry(entry) => {
                            if entry.body.len() <= MAX_ENTRY {
                                self.cache.keep(ticket, entry.pack(), self.plan.ttl);
                            }
                            leader.share(&entry);
                            Ok(self.respond(&entry))
                        }
                        Kept::Not(response) => Ok(response),
                    };
                }
                Role::Follower(mut made) => {
                    match made.wait_for(Option::is_some).await.ok().and_then(|made| made.clone()) {
                        Some(entry) => {
                            self.record("shared");
                            return Ok(self.respond(&entry));
                        }
                        // The one that was waited for has failed.
                        None => make().await?,
                    }
                }
            },
            Lookup::Off => make().await?,
        };
        match kept(made).await? {
            Kept::Entry(entry) => Ok(self.respond(&entry)),
            Kept::Not(response) => Ok(response),
        }
    }

    /// What the reply is kept under: who asks, what they may see, and what they ask for.
    fn key(&self) -> String {
        let target = self.parts.uri.path_and_query().map_or("/", |target| target.as_str());
        match self.user {
            Some(user) => format!(
                "{}:{}:{}:{target}",
                user.id.as_simple(),
                user.role.name(),
                user.tier.as_deref().unwrap_or_default()
            ),
            None => format!("public:{target}"),
        }
    }

    /// The reply, or 304 where the client has it.
    fn respond(&self, entry: &Entry) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::ETAG, entry.etag.clone());
        headers.insert(header::CACHE_CONTROL, self.plan.cache_control(self.client_max_age));
        headers.insert(header::VARY, HeaderValue::from_static("Authorization"));
        let reads = matches!(self.parts.method, Method::GET | Method::HEAD);
        if reads && tag::matches(&self.parts.headers, &entry.etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            self.record("not_modified");
            return response;
        }
        headers.insert(header::CONTENT_TYPE, JSON);
        *response.body_mut() = Body::from(entry.body.clone());
        response
    }

    fn record(&self, outcome: &'static str) {
        metrics::counter!(CACHE_LOOKUPS, "route" => self.route.to_owned(), "outcome" => outcome).increment(1);
    }
}

/// What became of a reply.
enum Kept {
    Entry(Entry),
    /// It may not be kept.
    Not(Response<Body>),
}

/// The entry of a reply with 200, JSON and no headers of its own, such as cookies.
async fn kept(response: Response<Body>) -> Result<Kept, Problem> {
    let headers = response.headers();
    let plain = response.status() == StatusCode::OK
        && headers.get(header::CONTENT_TYPE) == Some(&JSON)
        // What else the service has sent along is of this reply alone.
        && headers.keys().all(|name| [header::CONTENT_TYPE, header::ETAG].contains(name));
    if !plain {
        return Ok(Kept::Not(response));
    }
    let (parts, body) = response.into_parts();
    // It is in memory already.
    let body = body
        .collect()
        .await
        .map_err(|error| status::internal(&format!("a reply cannot be read: {error}")))?
        .to_bytes();
    // A resource has a tag of its own.
    let etag = parts
        .headers
        .get(header::ETAG)
        .cloned()
        .unwrap_or_else(|| tag::of(&body));
    Ok(Kept::Entry(Entry { etag, body }))
}

impl Entry {
    fn pack(&self) -> Bytes {
        let etag = self.etag.as_bytes();
        let mut packed = BytesMut::with_capacity(1 + etag.len() + self.body.len());
        packed.put_u8(u8::try_from(etag.len()).unwrap_or_default());
        packed.put_slice(etag);
        packed.put_slice(&self.body);
        packed.freeze()
    }

    fn unpack(packed: Bytes) -> Option<Self> {
        let length = usize::from(*packed.first()?);
        let etag = HeaderValue::from_bytes(packed.get(1..=length)?).ok()?;
        Some(Self {
            etag,
            body: packed.slice(1 + length..),
        })
    }
}

/// What a request does about a reply that others may be making.
enum Role {
    Leader(Leader),
    Follower(watch::Receiver<Option<Entry>>),
}

/// Makes the reply for all who wait for it. Dropped without one, they make their own.
struct Leader {
    in_flight: InFlight,
    /// `None` once it is made.
    ticket: Option<Ticket>,
    made: watch::Sender<Option<Entry>>,
}

impl InFlight {
    fn join(&self, ticket: &Ticket) -> Role {
        let mut in_flight = self.0.lock();
        if let Some(made) = in_flight.get(ticket) {
            return Role::Follower(made.clone());
        }
        let (sender, receiver) = watch::channel(None);
        in_flight.insert(ticket.clone(), receiver);
        Role::Leader(Leader {
            in_flight: self.clone(),
            ticket: Some(ticket.clone()),
            made: sender,
        })
    }
}

impl Leader {
    fn share(mut self, entry: &Entry) {
        // That nobody waits is fine.
        let _ = self.made.send(Some(entry.clone()));
        if let Some(ticket) = self.ticket.take() {
            let in_flight = self.in_flight.clone();
            tokio::spawn(async move {
                tokio::time::sleep(LINGER).await;
                in_flight.0.lock().remove(&ticket);
            });
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.in_flight.0.lock().remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_kept() {
        for body in [&b""[..], b"{}", &[0, 255, 7]] {
            let entry = Entry {
                etag: HeaderValue::from_static("\"abc\""),
                body: Bytes::copy_from_slice(body),
            };
            assert_eq!(Entry::unpack(entry.pack()), Some(entry));
        }
        assert_eq!(Entry::unpack(Bytes::new()), None);
        assert_eq!(Entry::unpack(Bytes::from_static(&[9, b'a'])), None);
    }

    #[tokio::test]
    async fn of_many_who_ask_at_once_one_makes_the_reply() {
        let cache = Cache::local(1 << 20);
        let Lookup::Miss(ticket) = cache.find("key".into(), &[]).await else {
            panic!("an empty cache")
        };
        let in_flight = InFlight::default();
        let Role::Leader(leader) = in_flight.join(&ticket) else {
            panic!("the first one")
        };
        let Role::Follower(mut follower) = in_flight.join(&ticket) else {
            panic!("the second one")
        };
        let entry = Entry {
            etag: HeaderValue::from_static("\"abc\""),
            body: Bytes::from_static(b"{}"),
        };
        leader.share(&entry);
        assert_eq!(follower.wait_for(Option::is_some).await.unwrap().clone(), Some(entry));
        // Whoever looked before it was kept gets it as well, for a while.
        assert!(matches!(in_flight.join(&ticket), Role::Follower(_)));
        let leader = loop {
            if let Role::Leader(leader) = in_flight.join(&ticket) {
                break leader;
            }
            tokio::time::sleep(LINGER / 10).await;
        };
        let Role::Follower(mut follower) = in_flight.join(&ticket) else {
            panic!("something is in flight")
        };
        drop(leader);
        assert!(follower.wait_for(Option::is_some).await.is_err());
    }
}
