//! A backend to call, over the network or in this process; callers do not see which.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tonic::body::Body;
use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};

/// A gRPC service held in this process: the server's whole stack, layers included.
pub type LocalService = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, BoxError>;

/// How often a backend's name is resolved again, so that new instances get calls and old ones are
/// forgotten.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

/// A backend by name. Cheap to clone; pass it to a generated client:
/// `TodoServiceClient::new(upstream)`.
#[derive(Clone)]
pub struct Upstream {
    name: Arc<str>,
    target: Target,
}

#[derive(Clone)]
enum Target {
    Remote(Channel),
    Local(LocalSlot),
}

/// The place where a local service appears once it is built; services that call one another need
/// each other's upstream before that.
#[derive(Clone, Default)]
pub struct LocalSlot(Arc<OnceLock<LocalService>>);

impl LocalSlot {
    /// Puts the service in its place. The first call counts.
    pub fn fill(&self, service: LocalService) {
        let _ = self.0.set(service);
    }
}

/// An address that is not `http://host:port`.
#[derive(Debug, thiserror::Error)]
#[error("expected an address such as `http://host:port`, got `{0}`")]
pub struct InvalidAddress(String);

impl Upstream {
    /// A backend over the network. `address` is `http://host:port`; a name with several addresses
    /// is balanced over all of them, one HTTP/2 connection each, and resolved again every five
    /// seconds. Connects in the background, at the first call and after each loss. Call it inside a
    /// tokio runtime.
    pub fn remote(name: &str, address: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress(address.to_owned());
        let uri: http::Uri = address.parse().map_err(|_| invalid())?;
        let (Some("http"), Some(host), Some(port)) = (uri.scheme_str(), uri.host(), uri.port_u16()) else {
            return Err(invalid());
        };
        let (channel, changes) = Channel::balance_channel(64);
        tokio::spawn(resolve(
            name.to_owned(),
            host.trim_matches(['[', ']']).to_owned(),
            port,
            changes,
        ));
        Ok(Self {
            name: name.into(),
            target: Target::Remote(channel),
        })
    }

    /// A backend in this process, and the slot that its service goes into.
    pub fn local(name: &str) -> (Self, LocalSlot) {
        let slot = LocalSlot::default();
        (
            Self {
                name: name.into(),
                target: Target::Local(slot.clone()),
            },
            slot,
        )
    }

    /// The backend's name, such as `todos`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Service<http::Request<Body>> for Upstream {
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Readiness is awaited inside `call`, on the clone that makes the call.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match &self.target {
            Target::Remote(channel) => {
                let mut channel = channel.clone();
                Box::pin(async move { Ok(channel.ready().await?.call(request).await?) })
            }
            Target::Local(slot) => match slot.0.get() {
                Some(service) => Box::pin(service.clone().oneshot(request)),
                None => {
                    let status = tonic::Status::unavailable(format!("{} has not started", self.name));
                    Box::pin(async move { Ok(status.into_http()) })
                }
            },
        }
    }
}

/// Keeps the balanced channel's endpoints equal to what the name resolves to.
async fn resolve(
    name: String,
    host: String,
    port: u16,
    changes: tokio::sync::mpsc::Sender<Change<SocketAddr, Endpoint>>,
) {
    let mut known: HashMap<SocketAddr, ()> = HashMap::new();
    loop {
        match tokio::net::lookup_host((host.as_str(), port)).await {
            Ok(found) => {
                let found: BTreeSet<SocketAddr> = found.collect();
                // `localhost` means both families while a server may listen on one only; the first
                // family found is enough.
                let found = one_family(found);
                for &address in &found {
                    if known.insert(address, ()).is_none()
                        && changes.send(Change::Insert(address, endpoint(address))).await.is_err()
                    {
                        return;
                    }
                }
                let gone: Vec<_> = known
                    .keys()
                    .filter(|address| !found.contains(address))
                    .copied()
                    .collect();
                for address in gone {
                    known.remove(&address);
                    if changes.send(Change::Remove(address)).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => tracing::warn!(upstream = name, host, %error, "name does not resolve"),
        }
        tokio::select! {
            () = tokio::time::sleep(RESOLVE_EVERY) => {}
            () = changes.closed() => return,
        }
    }
}

fn one_family(found: BTreeSet<SocketAddr>) -> BTreeSet<SocketAddr> {
    if found.iter().any(SocketAddr::is_ipv4) {
        found.into_iter().filter(SocketAddr::is_ipv4).collect()
    } else {
        found
    }
}

#[expect(clippy::expect_used, reason = "a socket address always makes a valid URI")]
fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("a socket address makes a valid URI")
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(2))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
}
