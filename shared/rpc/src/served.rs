//! One call, as traces and metrics see it: from its headers to the last frame of its reply.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use quartet_telemetry::TracedSpan;
use quartet_telemetry::metrics::RPC_SERVER_CALL_DURATION;
use tonic::body::Body;
use tonic::{Code, Status};

/// A call that is being served. It is recorded when dropped: at the end of the reply, or when its
/// caller went away.
pub(crate) struct Served {
    traced_span: TracedSpan,
    /// `None` for what is no method of ours, which anybody can make up any number of.
    method: Option<Arc<str>>,
    begun: Instant,
    code: Option<Code>,
}

impl Served {
    pub(crate) fn begin(traced_span: TracedSpan, method: Option<Arc<str>>) -> Self {
        Self {
            traced_span,
            method,
            begun: Instant::now(),
            code: None,
        }
    }

    /// Waits for the end of `reply`. A stream is produced within the span, which a single reply was
    /// already.
    pub(crate) fn follow(mut self, reply: Response<Body>, streams: bool) -> Response<Body> {
        // A failure from the start comes without a body.
        self.code = code_of(reply.headers());
        if self.code.is_some() {
            return reply;
        }
        reply.map(|inner| {
            Body::new(Followed {
                inner,
                served: self,
                streams,
            })
        })
    }

    fn method(&self) -> Arc<str> {
        self.method.clone().unwrap_or_else(|| "_OTHER".into())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        let (method, elapsed) = (self.method(), self.begun.elapsed());
        if self.traced_span.is_recording() {
            let service = method.split_once('/').map_or("", |(service, _)| service).to_owned();
            self.traced_span.set_name(method.to_string());
            self.traced_span.set_attribute("rpc.system.name", "grpc");
            // What it was called before the conventions were settled; many dashboards still query
            // it.
            self.traced_span.set_attribute("rpc.system", "grpc");
            self.traced_span.set_attribute("rpc.service", service);
            self.traced_span.set_attribute("rpc.method", method.to_string());
            self.traced_span.set_attribute("rpc.response.status_code", name(code));
            if is_fault(code) {
                self.traced_span.set_attribute("error.type", name(code));
                self.traced_span.set_error(code.description().to_owned());
            }
        }
        if quartet_telemetry::metrics::is_on() {
            let labels = [("rpc_system_name", "grpc"), ("rpc_response_status_code", name(code))];
            let mut labels: Vec<_> = labels.iter().map(metrics::Label::from).collect();
            labels.push(metrics::Label::new("rpc_method", method.clone()));
            metrics::histogram!(RPC_SERVER_CALL_DURATION, labels).record(elapsed);
        }
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        // Also where the line is not written: the span ends when it was last entered.
        self.traced_span
            .span()
            .in_scope(|| tracing::debug!(code = name(code), elapsed_us, "call"));
    }
}

/// The body of a reply, whose trailers hold the outcome of the call.
struct Followed {
    inner: Body,
    served: Served,
    streams: bool,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let _within = this.streams.then(|| this.served.traced_span.span().enter());
        let polled = Pin::new(&mut this.inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let code = frame.trailers_ref().and_then(code_of);
                this.served.code = code.or(this.served.code);
            }
            Poll::Ready(Some(Err(status))) => this.served.code = Some(status.code()),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn code_of(headers: &HeaderMap) -> Option<Code> {
    Some(Code::from_bytes(headers.get("grpc-status")?.as_bytes()))
}

/// Whether the service has failed, and not its caller (semantic conventions for gRPC, server
/// spans).
fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The code, as the contracts of gRPC spell it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};
    use quartet_telemetry::TraceContext;
    use quartet_telemetry::in_memory_exporter::{InMemoryExporter, SpanData};

    use super::*;

    const GATEWAY: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// The span that is left of a call after `work`, and what was left of it before.
    async fn recorded(work: impl AsyncFnOnce(Served, &dyn Fn() -> usize)) -> SpanData {
        let (exporter, _here) = InMemoryExporter::install();
        let cause = TraceContext::parse(GATEWAY, None);
        let traced_span = TracedSpan::child_of(tracing::info_span!("rpc", otel.kind = "server"), cause.as_ref());
        let served = Served::begin(traced_span, Some("quartet.todos.v1.TodoService/GetTodo".into()));
        work(served, &|| exporter.finished_spans().len()).await;
        exporter.finished_spans().pop().unwrap()
    }

    fn attribute(span: &SpanData, name: &str) -> String {
        let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
        found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
    }

    /// A reply of one message and these trailers.
    fn reply(status: &'static str) -> Response<Body> {
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]);
        let body = Full::new(Bytes::from_static(b"message")).with_trailers(std::future::ready(Some(Ok(trailers))));
        Response::new(Body::new(body.map_err(|never| match never {})))
    }

    #[tokio::test]
    async fn a_call_is_told_of_at_the_end_of_its_reply_with_the_code_of_the_trailers() {
        let span = recorded(async |served, finished| {
            let body = served.follow(reply("13"), true).into_body();
            assert_eq!(finished(), 0);
            assert_eq!(body.collect().await.unwrap().to_bytes(), "message");
            assert_eq!(finished(), 1);
        })
        .await;
        assert_eq!(span.name, "quartet.todos.v1.TodoService/GetTodo");
        assert_eq!(span.parent_span_id.to_string(), "00f067aa0ba902b7");
        assert_eq!(attribute(&span, "rpc.response.status_code"), "INTERNAL");
        assert_eq!(attribute(&span, "error.type"), "INTERNAL");
    }

    #[tokio::test]
    async fn a_refusal_is_told_of_at_once_and_is_no_fault_of_the_service() {
        let span = recorded(async |served, finished| {
            let refused = served.follow(Status::not_found("no").into_http(), false);
            assert_eq!(finished(), 1);
            drop(refused);
        })
        .await;
        assert_eq!(attribute(&span, "rpc.response.status_code"), "NOT_FOUND");
        assert_eq!(attribute(&span, "error.type"), "");
    }

    #[tokio::test]
    async fn a_call_whose_caller_goes_away_was_cancelled() {
        let span = recorded(async |served, _| drop(served.follow(reply("0"), false))).await;
        assert_eq!(attribute(&span, "rpc.response.status_code"), "CANCELLED");
    }
}
