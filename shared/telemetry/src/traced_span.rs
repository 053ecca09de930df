//! One process's part of a trace: a request, a call, a message, an attempt at a job.

use opentelemetry::trace::{SpanId, Status, TraceContextExt, TraceId};
use opentelemetry::{Context, Key, KeyValue, Value};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

use crate::TraceContext;

/// A span with a position in a trace. The next process continues from it, and the log lines within
/// it carry its ids. Clones share one span; it ends when the last of them, and of its
/// [`TracedSpan::span`], is dropped.
#[derive(Debug, Clone)]
pub struct TracedSpan {
    span: Span,
    context: Context,
}

/// The ids that a log line carries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    /// The linked trace; of several, the first.
    pub(crate) linked: Option<TraceId>,
}

impl TracedSpan {
    /// Makes `span` the child of `parent`, a span of the process that waits for the answer. Without
    /// one, its parent is the span around it in this process, or it is the root of a new trace.
    pub fn child_of(span: Span, parent: Option<&TraceContext>) -> Self {
        if let Some(parent) = parent {
            // This fails without the layer of traces, where spans have no parents.
            let _ = span.set_parent(Context::new().with_remote_span_context(parent.0.clone()));
        }
        Self::begin(span, None)
    }

    /// Links `span` to its causes, which have ended or do not wait for it. Create the span with
    /// `parent: None`, so that it is the root of a trace of its own.
    pub fn linked_to(span: Span, causes: impl IntoIterator<Item = TraceContext>) -> Self {
        let mut linked = None;
        for TraceContext(cause) in causes {
            linked = linked.or(Some(cause.trace_id()));
            span.add_link(cause);
        }
        Self::begin(span, linked)
    }

    fn begin(span: Span, linked: Option<TraceId>) -> Self {
        let context = span.context();
        let span_context = context.span().span_context().clone();
        if span_context.is_valid() {
            let ids = Ids {
                trace: span_context.trace_id(),
                span: span_context.span_id(),
                linked,
            };
            span.with_subscriber(|(id, subscriber)| {
                if let Some(span) = subscriber
                    .downcast_ref::<Registry>()
                    .and_then(|registry| registry.span(id))
                {
                    span.extensions_mut().replace(ids);
                }
            });
        }
        Self { span, context }
    }

    /// The span, to be entered.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Its context, for the next process; `None` where there are no traces.
    pub fn context(&self) -> Option<TraceContext> {
        let context = self.context.span().span_context().clone();
        context.is_valid().then_some(TraceContext(context))
    }

    /// Whether it will be exported, so that attributes that are costly to compute are worth it.
    pub fn is_recording(&self) -> bool {
        self.context.span().is_recording()
    }

    /// Sets its name, which is often not known when it begins.
    pub fn set_name(&self, name: String) {
        self.context.span().update_name(name);
    }

    /// Sets an attribute, named by the semantic conventions of OpenTelemetry.
    pub fn set_attribute(&self, name: impl Into<Key>, value: impl Into<Value>) {
        self.context.span().set_attribute(KeyValue::new(name, value));
    }

    /// Sets its status to an error.
    pub fn set_error(&self, why: String) {
        self.context.span().set_status(Status::error(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_memory_exporter::{InMemoryExporter, SpanData};
    use crate::traces;

    const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// The spans that `work` exports, in the order in which they end.
    fn exported(sampler: &str, ratio: f64, work: impl FnOnce()) -> Vec<SpanData> {
        let (exporter, _here) =
            InMemoryExporter::install_with_sampler(traces::sampler(&sampler.parse().unwrap(), ratio));
        work();
        exporter.finished_spans()
    }

    fn client(sampled: bool) -> TraceContext {
        let text = if sampled {
            CLIENT.to_owned()
        } else {
            CLIENT.replace("-01", "-00")
        };
        TraceContext::parse(&text, Some("rojo=1")).unwrap()
    }

    #[test]
    fn a_span_is_the_child_of_its_remote_parent_and_the_parent_of_its_calls() {
        let spans = exported("parentbased_traceidratio", 1.0, || {
            let traced_span = TracedSpan::child_of(
                tracing::info_span!("request", otel.kind = "server"),
                Some(&client(true)),
            );
            traced_span.set_name("GET /todos".into());
            traced_span.span().in_scope(|| {
                let sent = TraceContext::current().unwrap();
                assert_eq!(sent, traced_span.context().unwrap());
                assert_eq!(sent.tracestate().unwrap(), "rojo=1");
                drop(TracedSpan::child_of(
                    tracing::info_span!(parent: None, "rpc"),
                    Some(&sent),
                ));
            });
        });
        let [rpc, request] = spans.as_slice() else {
            panic!("{spans:?}")
        };
        assert_eq!(request.name, "GET /todos");
        assert_eq!(request.parent_span_id.to_string(), "00f067aa0ba902b7");
        assert_eq!(rpc.parent_span_id, request.span_context.span_id());
        assert_eq!(
            rpc.span_context.trace_id().to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
    }

    #[test]
    fn an_effect_is_a_trace_of_its_own_with_a_link() {
        let spans = exported("parentbased_traceidratio", 1.0, || {
            let request = TracedSpan::child_of(tracing::info_span!("request"), None);
            let cause = request.context().unwrap();
            request.span().in_scope(|| {
                drop(TracedSpan::linked_to(
                    tracing::info_span!(parent: None, "message"),
                    Some(cause),
                ))
            });
        });
        let [message, request] = spans.as_slice() else {
            panic!("{spans:?}")
        };
        assert_ne!(message.span_context.trace_id(), request.span_context.trace_id());
        assert_eq!(message.parent_span_id, SpanId::INVALID);
        assert_eq!(
            message.links.links[0].span_context.span_id(),
            request.span_context.span_id()
        );
    }

    #[test]
    fn the_decision_of_the_client_overrides_the_ratio_and_linked_traces_follow_their_cause() {
        for sampled in [true, false] {
            for ratio in [0.0, 1.0] {
                let spans = exported("parentbased_traceidratio", ratio, || {
                    let cause = client(sampled);
                    let traced_span = TracedSpan::child_of(tracing::info_span!("request"), Some(&cause));
                    assert_eq!(traced_span.is_recording(), sampled);
                    assert_eq!(traced_span.context().unwrap().traceparent().ends_with("-01"), sampled);
                    drop(TracedSpan::linked_to(
                        tracing::info_span!(parent: None, "message"),
                        Some(cause),
                    ));
                });
                assert_eq!(spans.len(), if sampled { 2 } else { 0 }, "{sampled} {ratio}");
            }
        }
        let spans = exported("traceidratio", 0.0, || {
            drop(TracedSpan::child_of(
                tracing::info_span!("request"),
                Some(&client(true)),
            ));
        });
        assert_eq!(spans.len(), 0, "not parent based");
    }

    #[test]
    fn without_a_subscriber_a_span_has_no_context() {
        let traced_span = TracedSpan::child_of(tracing::info_span!("request"), Some(&client(true)));
        assert_eq!(traced_span.context(), None);
        assert_eq!(TraceContext::current(), None);
    }
}
