//! A collector of traces, as operators run one, with what the tests need of it.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
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
struct Received(Arc<Mutex<Vec<Exported>>>);

impl Collector {
    /// Starts a collector.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let received = Received::default();
        let service = TraceServiceServer::new(received.clone());
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { endpoint, received }
    }

    /// The spans of a trace so far.
    pub fn trace(&self, id: &str) -> Vec<Exported> {
        let all = self.received.0.lock();
        all.iter()
            .filter(|exported| hex(&exported.span.trace_id) == id)
            .cloned()
            .collect()
    }

    /// The spans so far that are linked to a trace.
    pub fn linked_to(&self, id: &str) -> Vec<Exported> {
        let all = self.received.0.lock();
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
            self.0.lock().extend(spans);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
