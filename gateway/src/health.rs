//! Whether the gateway is alive, and whether it and its backends can serve.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Extension, Json, Router};
use futures::future::join_all;
use http::StatusCode;
use quartet_rpc::upstream::Elsewhere;
use quartet_rpc::{Upstream, Verifier};
use serde::Serialize;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::problem::render::Written;
use crate::server::Draining;

/// Time within which an upstream answers a health check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// What the probes check.
#[derive(Clone)]
pub(crate) struct Health {
    upstreams: Arc<BTreeMap<String, Upstream>>,
    verifier: Option<Verifier>,
    draining: Draining,
    /// Unset where nobody is shown it.
    version: Option<Arc<str>>,
}

impl Health {
    pub(crate) fn new(upstreams: BTreeMap<String, Upstream>, draining: Draining, version: Option<&str>) -> Self {
        Self {
            upstreams: Arc::new(upstreams),
            verifier: None,
            draining,
            version: version.map(Into::into),
        }
    }

    /// The same, with the gateway's own knowledge of ended sessions, without which it takes no token.
    #[must_use]
    pub(crate) fn verifying(self, verifier: Option<Verifier>) -> Self {
        Self { verifier, ..self }
    }

    /// `/livez`, `/readyz` and `/health`.
    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route(
                "/livez",
                get(async || {
                    Json(Report {
                        status: "ok",
                        checks: None,
                        version: None,
                    })
                }),
            )
            .route("/readyz", get(ready))
            .route("/health", get(healthy))
            .with_state(self)
    }
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<BTreeMap<String, &'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

impl Health {
    /// Each upstream's state, and whether all of them serve.
    async fn checks(&self) -> (BTreeMap<String, &'static str>, bool) {
        let checks = self
            .upstreams
            .iter()
            .map(async |(name, upstream)| (name.clone(), check(upstream.clone()).await));
        let mut checks: BTreeMap<_, _> = join_all(checks).await.into_iter().collect();
        if let Some(verifier) = &self.verifier {
            let state = if verifier.is_ready() { "ok" } else { "not received" };
            checks.insert("revocations".to_owned(), state);
        }
        let all = checks.values().all(|state| *state == "ok");
        (checks, all)
    }
}

type Answer = (StatusCode, Extension<Written>, Json<Report>);

fn answer(healthy: bool, report: Report) -> Answer {
    let code = if healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Extension(Written), Json(report))
}

/// 200 when every upstream serves and the gateway is not about to stop, else 503; each upstream's
/// state either way.
async fn ready(State(health): State<Health>) -> Answer {
    let (checks, all) = health.checks().await;
    let status = match (health.draining.has_begun(), all) {
        (true, _) => "draining",
        (false, true) => "ok",
        (false, false) => "unavailable",
    };
    let report = Report {
        status,
        checks: Some(checks),
        version: None,
    };
    answer(status == "ok", report)
}

/// For people and dashboards: 200 when every upstream serves, else 503, with the version and each
/// upstream's state. Unlike `/readyz` it is 200 while the gateway is about to stop: nothing is
/// wrong with it.
async fn healthy(State(health): State<Health>) -> Answer {
    let (checks, all) = health.checks().await;
    let report = Report {
        status: if all { "healthy" } else { "unhealthy" },
        checks: Some(checks),
        version: health.version.as_deref().map(str::to_owned),
    };
    answer(all, report)
}

/// Instances that are asked at the most, one after another: one that starts or stops does not serve,
/// although others do.
const INSTANCES: usize = 8;

async fn check(upstream: Upstream) -> &'static str {
    let mut client = HealthClient::new(upstream);
    let elsewhere = Elsewhere::default();
    let checked = async {
        let mut state = "not serving";
        for _ in 0..INSTANCES {
            // The empty name stands for the server as a whole.
            let mut request = Request::new(HealthCheckRequest { service: String::new() });
            // The one that does not serve has the least to do, and would be asked again and again.
            request.extensions_mut().insert(elsewhere.clone());
            state = match client.check(request).await {
                Ok(reply) if reply.get_ref().status() == ServingStatus::Serving => return "ok",
                Ok(_) => "not serving",
                Err(_) => "unreachable",
            };
        }
        state
    };
    tokio::time::timeout(CHECK_TIMEOUT, checked).await.unwrap_or("timeout")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;
    use quartet_rpc::upstream::LocalService;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;

    async fn instance(
        serving: bool,
    ) -> tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health> {
        let (reporter, service) = tonic_health::server::health_reporter();
        if !serving {
            reporter
                .set_service_status("", tonic_health::ServingStatus::NotServing)
                .await;
        }
        service
    }

    async fn upstream(serving: bool) -> Upstream {
        let service = instance(serving).await;
        let (upstream, slot) = Upstream::local("test");
        let service = ServiceExt::<http::Request<tonic::body::Body>>::map_err(service, |never| match never {});
        slot.fill(LocalService::new(service));
        upstream
    }

    #[tokio::test]
    async fn a_service_serves_while_one_of_its_instances_does() {
        // Every other call reaches an instance that starts.
        let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (upstream, slot) = Upstream::local("test");
        let instances = [instance(false).await, instance(true).await];
        let service = tower::service_fn(move |request| {
            let turn = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            ServiceExt::<http::Request<tonic::body::Body>>::oneshot(instances[turn % 2].clone(), request)
        });
        slot.fill(LocalService::new(
            ServiceExt::<http::Request<tonic::body::Body>>::map_err(service, |never| match never {}),
        ));
        assert_eq!([check(upstream.clone()).await, check(upstream).await], ["ok", "ok"]);
    }

    async fn probe(health: Health, path: &str) -> (u16, Value) {
        let request = http::Request::get(path).body(Body::empty()).unwrap();
        let response = health.routes().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap(),
        )
    }

    fn health(upstreams: Vec<(&str, Upstream)>) -> Health {
        let upstreams = upstreams
            .into_iter()
            .map(|(name, upstream)| (name.to_owned(), upstream))
            .collect();
        Health::new(upstreams, Draining::default(), Some("1.2.3"))
    }

    #[tokio::test]
    async fn the_gateway_is_ready_when_every_upstream_serves() {
        let all = vec![("auth", upstream(true).await), ("todos", upstream(true).await)];
        let expected = json!({"status": "ok", "checks": {"auth": "ok", "todos": "ok"}});
        assert_eq!(probe(health(all), "/readyz").await, (200, expected));
    }

    #[tokio::test]
    async fn an_upstream_that_does_not_serve_or_is_not_there_makes_it_unready() {
        let all = vec![
            ("auth", upstream(true).await),
            ("todos", upstream(false).await),
            ("users", Upstream::local("users").0),
        ];
        let (status, report) = probe(health(all), "/readyz").await;
        assert_eq!(status, 503);
        assert_eq!(
            report["checks"],
            json!({"auth": "ok", "todos": "not serving", "users": "unreachable"})
        );
    }

    #[tokio::test]
    async fn being_alive_needs_no_upstream() {
        let away = health(vec![("users", Upstream::local("users").0)]);
        assert_eq!(probe(away, "/livez").await, (200, json!({"status": "ok"})));
    }

    #[tokio::test]
    async fn health_shows_no_version_where_it_is_hidden() {
        let mut hidden = health(vec![("auth", upstream(true).await)]);
        hidden.version = None;
        let expected = json!({"status": "healthy", "checks": {"auth": "ok"}});
        assert_eq!(probe(hidden, "/health").await, (200, expected));
    }

    #[tokio::test]
    async fn health_shows_the_version_and_the_state_of_every_upstream() {
        let all = vec![("auth", upstream(true).await), ("todos", upstream(true).await)];
        let expected = json!({"status": "healthy", "version": "1.2.3", "checks": {"auth": "ok", "todos": "ok"}});
        assert_eq!(probe(health(all), "/health").await, (200, expected));

        let some = vec![("auth", upstream(true).await), ("users", Upstream::local("users").0)];
        let expected =
            json!({"status": "unhealthy", "version": "1.2.3", "checks": {"auth": "ok", "users": "unreachable"}});
        assert_eq!(probe(health(some), "/health").await, (503, expected));

        // A gateway that stops is healthy.
        let mut stopping = health(vec![("auth", upstream(true).await)]);
        stopping.draining = Draining::begun();
        assert_eq!(probe(stopping.clone(), "/health").await.0, 200);
        let (status, report) = probe(stopping, "/readyz").await;
        assert_eq!((status, &report["status"]), (503, &json!("draining")));
    }
}
