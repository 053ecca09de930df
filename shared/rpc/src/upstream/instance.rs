//! One instance of a backend: its connection, what is in flight on it, and whether it is ejected.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::address::Address;
use super::pool::Pool;

/// Failures in a row after which an instance is ejected.
const MAX_FAILURES: u32 = 3;
/// How long the first ejection lasts, in milliseconds; each one soon after doubles it.
const MIN_EJECTION: u64 = 1_000;
const MAX_EJECTION: u64 = 30_000;
/// An instance that has served for this long since its last ejection begins anew, in milliseconds.
const REHABILITATION: u64 = 60_000;

/// One instance of a backend. Times are milliseconds of the pool's clock.
pub(super) struct Instance {
    pub(super) key: (Address, SocketAddr),
    scheme: Scheme,
    authority: Authority,
    connection: RwLock<Option<SendRequest<Body>>>,
    /// Counts connections that came and went: a failure is about the one that it was seen on.
    generation: AtomicU64,
    connected: AtomicBool,
    /// Calls in flight.
    pub(super) load: AtomicUsize,
    /// Failures in a row.
    failures: AtomicU32,
    /// Until when it gets no calls; 0 while it is not ejected. When the time is over, one call
    /// probes it.
    ejected_until: AtomicU64,
    is_probed: AtomicBool,
    history: Mutex<History>,
    retired: Notify,
    /// Ends its connection.
    pub(super) stop: CancellationToken,
}

#[derive(Default)]
struct History {
    /// Ejections, each soon after the one before.
    ejections: u32,
    returned_at: u64,
}

/// Whether an instance can have a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Away,
    Usable,
    Ejected,
    /// Its ejection is over; one call decides whether it returns.
    Due,
}

impl Instance {
    pub(super) fn new(address: Address, socket: SocketAddr) -> Result<Self, http::uri::InvalidUri> {
        Ok(Self {
            scheme: if address.tls { Scheme::HTTPS } else { Scheme::HTTP },
            authority: Authority::try_from(address.authority())?,
            key: (address, socket),
            connection: RwLock::default(),
            generation: AtomicU64::new(0),
            connected: AtomicBool::new(false),
            load: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            is_probed: AtomicBool::new(false),
            history: Mutex::default(),
            retired: Notify::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Its standing now. The clock is read only where the instance is ejected.
    pub(super) fn standing(&self, pool: &Pool) -> Standing {
        if !self.connected.load(Acquire) {
            return Standing::Away;
        }
        match self.ejected_until.load(Relaxed) {
            0 => Standing::Usable,
            until if until <= pool.now() => Standing::Due,
            _ => Standing::Ejected,
        }
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.ejected_until.load(Relaxed) != 0
    }

    /// Whether the call that is about to be made may be the probe.
    pub(super) fn begin_probe(&self) -> bool {
        self.is_probed.compare_exchange(false, true, AcqRel, Relaxed).is_ok()
    }

    /// Takes the instance for a call; `None` when its connection has just gone.
    pub(super) fn take(self: &Arc<Self>, is_probe: bool) -> Option<Picked> {
        let generation = self.generation.load(Acquire);
        let sender = self.connection.read().clone();
        let Some(sender) = sender else {
            if is_probe {
                self.is_probed.store(false, Release);
            }
            return None;
        };
        Some(Picked {
            load: Load::of(self),
            instance: self.clone(),
            sender,
            generation,
            is_probe,
        })
    }

    /// Puts a new connection in place and returns its generation. An instance that was ejected is
    /// due: it may be another process by now.
    pub(super) fn connected(&self, sender: SendRequest<Body>) -> u64 {
        let mut connection = self.connection.write();
        *connection = Some(sender);
        if self.is_ejected() {
            self.ejected_until.store(1, Relaxed);
        }
        let generation = self.generation.fetch_add(1, AcqRel) + 1;
        self.connected.store(true, Release);
        generation
    }

    /// Takes the connection of `generation` away; `false` when it is gone already.
    pub(super) fn retire(&self, generation: u64) -> bool {
        let mut connection = self.connection.write();
        let next = generation + 1;
        if self
            .generation
            .compare_exchange(generation, next, AcqRel, Relaxed)
            .is_err()
        {
            return false;
        }
        *connection = None;
        self.connected.store(false, Release);
        self.retired.notify_one();
        true
    }

    /// Resolves when the connection of `generation` is no longer in place.
    pub(super) async fn retired(&self, generation: u64) {
        while self.generation.load(Acquire) == generation {
            self.retired.notified().await;
        }
    }

    /// Counts a failure; returns whether there were too many in a row.
    pub(super) fn fail(&self, is_probe: bool) -> bool {
        self.failures.fetch_add(1, Relaxed) + 1 >= MAX_FAILURES || is_probe
    }

    /// Ejects it from `now` on; `dice` spreads the ends of ejections that begin together.
    pub(super) fn eject(&self, now: u64, dice: u64) {
        let mut history = self.history.lock();
        if now.saturating_sub(history.returned_at) > REHABILITATION && !self.is_ejected() {
            history.ejections = 0;
        }
        let time = (MIN_EJECTION << history.ejections.min(5)).min(MAX_EJECTION);
        history.ejections += 1;
        // Between 80 and 120 per cent.
        let time = time * (80 + dice % 41) / 100;
        self.ejected_until.store(now + time, Relaxed);
    }

    /// Counts a success; returns whether the instance was ejected until now.
    pub(super) fn succeed(&self, pool: &Pool) -> bool {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if self.ejected_until.load(Relaxed) == 0 || self.ejected_until.swap(0, Relaxed) == 0 {
            return false;
        }
        self.history.lock().returned_at = pool.now();
        true
    }
}

/// An instance that has been taken for one call.
pub(super) struct Picked {
    pub(super) instance: Arc<Instance>,
    #[expect(dead_code, reason = "its drop is what counts")]
    load: Load,
    sender: SendRequest<Body>,
    pub(super) generation: u64,
    pub(super) is_probe: bool,
}

/// What became of a request.
pub(super) enum Sent {
    /// The head of a reply has come.
    Answered(Response<Incoming>),
    /// The instance has not begun with it, and never will; its body, if it is still there.
    Unsent { body: Option<Body>, lost: bool },
    /// Nobody knows whether it took effect.
    Broken(Broken),
}

/// How a call broke off.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) error: hyper::Error,
    pub(super) what: Part,
}

/// What is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Connection,
    /// The instance has reset the stream.
    Stream,
    /// This side has.
    Caller,
}

impl Picked {
    /// Sends a request and waits for the head of its reply.
    pub(super) async fn send(&mut self, mut request: Request<Body>) -> Sent {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = self.uri(path);
        let mut failed = match self.sender.try_send_request(request).await {
            Ok(reply) => return Sent::Answered(reply),
            Err(failed) => failed,
        };
        if let Some(request) = failed.take_message() {
            // The connection was closed before the request was written to it.
            let body = Some(request.into_body());
            return Sent::Unsent { body, lost: true };
        }
        let error = failed.into_error();
        match error.source().and_then(|source| source.downcast_ref::<h2::Error>()) {
            // A server that stops names the last stream that it serves.
            Some(h2) if h2.is_go_away() && h2.is_remote() && h2.reason() == Some(h2::Reason::NO_ERROR) => {
                Sent::Unsent { body: None, lost: true }
            }
            Some(h2) if h2.is_remote() && h2.reason() == Some(h2::Reason::REFUSED_STREAM) => {
                let lost = false;
                Sent::Unsent { body: None, lost }
            }
            _ => Sent::Broken(Broken::of(error)),
        }
    }

    fn uri(&self, path: Option<PathAndQuery>) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.instance.scheme.clone());
        parts.authority = Some(self.instance.authority.clone());
        parts.path_and_query = path.or(Some(PathAndQuery::from_static("/")));
        // All three are set, which is all that it takes.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

impl Broken {
    pub(super) fn of(error: hyper::Error) -> Self {
        let what = match error.source().and_then(|source| source.downcast_ref::<h2::Error>()) {
            Some(h2) if h2.is_reset() && h2.is_remote() => Part::Stream,
            Some(h2) if h2.is_reset() => Part::Caller,
            _ if error.is_user() => Part::Caller,
            _ => Part::Connection,
        };
        Self { error, what }
    }
}

/// A call in flight on an instance, until dropped.
pub(super) struct Load(Arc<Instance>);

impl Load {
    pub(super) fn of(instance: &Arc<Instance>) -> Self {
        instance.load.fetch_add(1, Relaxed);
        Self(instance.clone())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Relaxed);
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        if self.is_probe {
            self.instance.is_probed.store(false, Release);
        }
    }
}
