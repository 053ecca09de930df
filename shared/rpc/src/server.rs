//! Serving: the same stack of layers over a port or in this process.

use std::time::Duration;

use quartet_proto::descriptors;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, RoutesBuilder};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::{Layer, ServiceExt};

use crate::access::AccessLayer;
use crate::upstream::LocalService;

/// One or more services with health and reflection, behind the access layer.
pub struct Stack {
    routes: Routes,
    access: AccessLayer,
    health: HealthReporter,
    names: Vec<String>,
}

impl Stack {
    /// A stack of the services that `add` adds; `packages` are their proto packages, such as
    /// `quartet.todos.v1`.
    pub async fn new(
        access: AccessLayer,
        packages: &[&str],
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
        builder.add_service(reflection(&names).build_v1()?);
        builder.add_service(reflection(&names).build_v1alpha()?);
        let stack = Self {
            routes: builder.routes().prepare(),
            access,
            health,
            names,
        };
        stack.report(ServingStatus::Serving).await;
        Ok(stack)
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
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let drained = {
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                tokio::time::sleep(grace).await;
            }
        };
        let server = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .layer(self.access.clone())
            .add_routes(self.routes.clone())
            .serve_with_incoming_shutdown(incoming, async {
                stop.cancelled().await;
                self.report(ServingStatus::NotServing).await;
            });
        tokio::select! {
            result = server => result,
            () = drained => Ok(()),
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
