//! A collector of traces, metrics and logs, as operators run one, with what the tests need of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, async_trait};

/// A collector that listens for OTLP over gRPC on a free port of the loopback interface, until the
/// test's runtime ends.
pub struct Collector {
    /// Its address, such as `http://127.0.0.1:4317`.
    pub endpoint: String,
    received: Received,
}

/// A span, and the process that exported it.
#[derive(Debug, Clone)]
pub struct Exported {
    /// `service.name` of the process.
    pub service: String,
    /// The span.
    pub span: Span,
}

#[derive(Clone, Default)]
struct Received {
    spans: Arc<Mutex<Vec<Exported>>>,
    metrics: Arc<Mutex<BTreeSet<String>>>,
    logs: Arc<Mutex<Vec<LogRecord>>>,
}

impl Collector {
    /// Starts a collector.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let received = Received::default();
        let server = Server::builder()
            .add_service(TraceServiceServer::new(received.clone()))
            .add_service(MetricsServiceServer::new(received.clone()))
            .add_service(LogsServiceServer::new(received.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { endpoint, received }
    }

    /// The spans of a trace so far.
    pub fn trace(&self, id: &str) -> Vec<Exported> {
        let all = self.received.spans.lock();
        all.iter()
            .filter(|exported| hex(&exported.span.trace_id) == id)
            .cloned()
            .collect()
    }

    /// The names of the metrics so far.
    pub fn metrics(&self) -> BTreeSet<String> {
        self.received.metrics.lock().clone()
    }

    /// The log records of a trace so far.
    pub fn logs(&self, trace: &str) -> Vec<LogRecord> {
        let all = self.received.logs.lock();
        all.iter()
            .filter(|record| hex(&record.trace_id) == trace)
            .cloned()
            .collect()
    }

    /// The spans so far that are linked to a trace.
    pub fn linked_to(&self, id: &str) -> Vec<Exported> {
        let all = self.received.spans.lock();
        let linked = |span: &Span| span.links.iter().any(|link| hex(&link.trace_id) == id);
        all.iter().filter(|exported| linked(&exported.span)).cloned().collect()
    }
}

impl Exported {
    /// The value of an attribute, as text.
    pub fn attribute(&self, key: &str) -> Option<String> {
        find(&self.span.attributes, key)
    }
}

/// Bytes in the notation of trace ids.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn find(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref();
    match value {
        Some(AnyValue {
            value: Some(Value::StringValue(text)),
        }) => Some(text.clone()),
        Some(AnyValue {
            value: Some(Value::IntValue(number)),
        }) => Some(number.to_string()),
        _ => None,
    }
}

#[async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_process in request.into_inner().resource_spans {
            let attributes = of_process
                .resource
                .map(|resource| resource.attributes)
                .unwrap_or_default();
            let service = find(&attributes, "service.name").unwrap_or_default();
            let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let spans = spans.map(|span| Exported {
                service: service.clone(),
                span,
            });
            self.spans.lock().extend(spans);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let of_processes = request.into_inner().resource_metrics.into_iter();
        let metrics = of_processes
            .flat_map(|of_process| of_process.scope_metrics)
            .flat_map(|scope| scope.metrics);
        self.metrics.lock().extend(metrics.map(|metric| metric.name));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[async_trait]
impl LogsService for Received {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let of_processes = request.into_inner().resource_logs.into_iter();
        let records = of_processes
            .flat_map(|of_process| of_process.scope_logs)
            .flat_map(|scope| scope.log_records);
        self.logs.lock().extend(records);
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}
