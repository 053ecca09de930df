//! Serving: the same stack of layers over a port or in this process.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use quartet_proto::descriptors;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, RoutesBuilder};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::{Layer, ServiceExt};

use crate::access::AccessLayer;
use crate::revocations::Revocations;
use crate::tls::ServerTls;
use crate::upstream::LocalService;

/// How often it is checked whether a service can serve.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// The same, while it cannot.
const PROBE_AGAIN: Duration = Duration::from_millis(100);
/// Failed probes in a row after which a service does not serve: one may have waited behind a long
/// write.
const MAX_FAILURES: u32 = 2;

/// Whether what a service needs, such as its store, answers now. It ends within seconds.
#[derive(Clone)]
pub struct Probe(Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>);

impl Probe {
    /// How long a probe may take, for whoever makes one.
    pub const BOUND: Duration = Duration::from_secs(2);

    /// A probe of `answers`.
    pub fn of<F>(answers: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(answers())))
    }
}

/// One or more services with health and reflection, behind the access layer.
pub struct Stack {
    routes: Routes,
    access: AccessLayer,
    health: HealthReporter,
    names: Vec<String>,
    /// Whether it drains, which no probe may overwrite.
    draining: Arc<Mutex<bool>>,
    tls: Option<ServerTls>,
}

impl Stack {
    /// A stack of the services that `add` adds; `packages` are their proto packages, such as
    /// `quartet.todos.v1`. With `reflects` they describe themselves to whoever calls.
    pub async fn new(
        access: AccessLayer,
        packages: &[&str],
        reflects: bool,
        add: impl FnOnce(&mut RoutesBuilder),
    ) -> Result<Self, tonic_reflection::server::Error> {
        let (health, health_service) = tonic_health::server::health_reporter();
        let mut names: Vec<String> = descriptors::pool()
            .services()
            .map(|service| service.full_name().to_owned())
            .collect();
        names.retain(|name| {
            name.rsplit_once('.')
                .is_some_and(|(package, _)| packages.contains(&package))
        });

        let mut builder = Routes::builder();
        add(&mut builder);
        builder.add_service(health_service);
        if reflects {
            builder.add_service(reflection(&names).build_v1()?);
            builder.add_service(reflection(&names).build_v1alpha()?);
        }
        let stack = Self {
            routes: builder.routes().prepare(),
            access,
            health,
            names,
            draining: Arc::default(),
            tls: None,
        };
        stack.report(ServingStatus::Serving).await;
        Ok(stack)
    }

    /// The same stack, which is served over TLS where there is one.
    #[must_use]
    pub fn over(self, tls: Option<ServerTls>) -> Self {
        Self { tls, ..self }
    }

    /// The stack as a service in this process.
    pub fn local(&self) -> LocalService {
        let service = self.access.layer(self.routes.clone()).map_err(Into::into);
        LocalService::new(service)
    }

    /// Serves the stack on `listener` until `stop`, then drains: health becomes NOT_SERVING,
    /// connections get GOAWAY, and calls in flight have `grace` to end.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
        grace: Duration,
    ) -> Result<(), tonic::transport::Error> {
        let drained = {
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                tokio::time::sleep(grace).await;
            }
        };
        let router = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .layer(self.access.clone())
            .add_routes(self.routes.clone());
        let stopped = async {
            stop.cancelled().await;
            *self.draining.lock().await = true;
            self.report(ServingStatus::NotServing).await;
        };
        let server = async {
            match self.tls.clone() {
                None => {
                    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                    router.serve_with_incoming_shutdown(incoming, stopped).await
                }
                Some(tls) => router.serve_with_incoming_shutdown(tls.accept(listener), stopped).await,
            }
        };
        tokio::select! {
            result = server => result,
            () = drained => Ok(()),
        }
    }

    /// Reports what `probes` and the list of ended sessions show, until `stop`: without them no call
    /// can be served. Nothing is served before they first do.
    pub async fn watch(
        &self,
        probes: Vec<Probe>,
        revocations: Revocations,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.report(ServingStatus::NotServing).await;
        let (health, draining) = (self.health.clone(), self.draining.clone());
        let names = self.names.clone();
        async move {
            let mut serves = false;
            let mut failures = MAX_FAILURES;
            loop {
                let probed = join_all(probes.iter().map(|probe| (probe.0)()));
                let Some(probed) = stop.run_until_cancelled(probed).await else {
                    return;
                };
                if probed.into_iter().all(|answers| answers) && revocations.is_known() {
                    failures = 0;
                } else {
                    failures = failures.saturating_add(1);
                }
                let can_serve = failures < MAX_FAILURES;
                if can_serve != serves {
                    let is_draining = draining.lock().await;
                    if *is_draining {
                        return;
                    }
                    serves = can_serve;
                    let status = if serves {
                        tracing::info!("ready to serve");
                        ServingStatus::Serving
                    } else {
                        tracing::warn!("not ready to serve: the store does not answer");
                        ServingStatus::NotServing
                    };
                    for name in names.iter().map(String::as_str).chain([""]) {
                        health.set_service_status(name, status).await;
                    }
                }
                let pause = if failures == 0 { PROBE_EVERY } else { PROBE_AGAIN };
                if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
            }
        }
    }

    async fn report(&self, status: ServingStatus) {
        for name in self.names.iter().map(String::as_str).chain([""]) {
            self.health.set_service_status(name, status).await;
        }
    }
}

fn reflection(names: &[String]) -> tonic_reflection::server::Builder<'static> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptors::BYTES)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("grpc.health.v1.Health");
    names
        .iter()
        .fold(builder, |builder, name| builder.with_service_name(name.clone()))
}
