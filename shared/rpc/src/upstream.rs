//! A backend to call, over the network or in this process; callers do not see which.
//!
//! Over the network, in the order of a call: `call` admits it, picks an instance of the `pool` and
//! sends it, again where `methods` and the `budget` allow that; an `instance` is one HTTP/2
//! connection, which `resolve` keeps up with `dial`.

mod address;
mod body;
mod budget;
mod call;
mod config;
mod details;
mod dial;
mod elsewhere;
mod instance;
mod methods;
mod pool;
mod resolve;

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};

pub use address::{Addresses, InvalidAddress};
pub use config::{Config, Upstreams};
pub use elsewhere::Elsewhere;

/// A gRPC service held in this process: the server's whole stack, layers included.
pub type LocalService = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, BoxError>;

/// A backend by name. Cheap to clone; pass it to a generated client:
/// `TodoServiceClient::new(upstream)`.
#[derive(Clone)]
pub struct Upstream {
    name: Arc<str>,
    target: Target,
}

#[derive(Clone)]
enum Target {
    Remote(pool::Handle),
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

impl Upstream {
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
        // A call waits for its turn and for an instance by itself.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match &self.target {
            Target::Remote(backend) => Box::pin(call::make(backend.pool.clone(), request)),
            Target::Local(slot) => match slot.0.get() {
                Some(service) => Box::pin(service.clone().oneshot(request)),
                None => {
                    let status = tonic::Status::from(crate::Failure::unavailable(&self.name));
                    Box::pin(async move { Ok(status.into_http()) })
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
