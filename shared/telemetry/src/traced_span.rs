//! The part of a trace that one process does: a request, a call, a message, an attempt at a job.

use opentelemetry::trace::{SpanId, Status, TraceContextExt, TraceId};
use opentelemetry::{Context, Key, KeyValue, Value};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

use crate::TraceContext;

/// A span that has its place in a trace. It is what the next process continues from, and its ids stand in the log lines within. Clones are one;
/// it ends when the last of them, and of its [`Hop::span`], is dropped.
#[derive(Debug, Clone)]
pub struct Hop {
    span: Span,
    context: Context,
}

/// What a log line tells of its trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    /// The trace that it follows from; of several, the first.
    pub(crate) linked: Option<TraceId>,
}

impl Hop {
    /// Makes `span` the child of `cause`, which is in another process: whoever asked waits for the answer. Without a cause, of its parent in this
    /// process, or the first of a trace.
    pub fn continuing(span: Span, cause: Option<&TraceContext>) -> Self {
        if let Some(cause) = cause {
            // Without the layer of traces there is nothing to be child of.
            let _ = span.set_parent(Context::new().with_remote_span_context(cause.0.clone()));
        }
        Self::begin(span, None)
    }

    /// Links `span` to its causes, which are over or do not wait. Make the span with `parent: None`, so that it begins a trace of its own.
    pub fn following(span: Span, causes: impl IntoIterator<Item = TraceContext>) -> Self {
        let mut linked = None;
        for TraceContext(cause) in causes {
            linked = linked.or(Some(cause.trace_id()));
            span.add_link(cause);
        }
        Self::begin(span, linked)
    }

    fn begin(span: Span, linked: Option<TraceId>) -> Self {
        let context = span.context();
        let place = context.span().span_context().clone();
        if place.is_valid() {
            let ids = Ids {
                trace: place.trace_id(),
                span: place.span_id(),
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

    /// Its place, for the next process; `None` where no traces are kept.
    pub fn context(&self) -> Option<TraceContext> {
        let context = self.context.span().span_context().clone();
        context.is_valid().then_some(TraceContext(context))
    }

    /// Whether it will be exported, so that what [`Hop::set`] is told is worth finding out.
    pub fn is_recording(&self) -> bool {
        self.context.span().is_recording()
    }

    /// Names it, once more is known than when it began.
    pub fn rename(&self, name: String) {
        self.context.span().update_name(name);
    }

    /// Tells something of it, by the name that the semantic conventions of OpenTelemetry have for it.
    pub fn set(&self, name: impl Into<Key>, value: impl Into<Value>) {
        self.context.span().set_attribute(KeyValue::new(name, value));
    }

    /// Notes that it has failed.
    pub fn fail(&self, why: String) {
        self.context.span().set_status(Status::error(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::{Kept, SpanData};
    use crate::traces;

    const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// What is exported of `work`, in the order in which it ended.
    fn exported(sampler: &str, ratio: f64, work: impl FnOnce()) -> Vec<SpanData> {
        let (kept, _here) = Kept::sampled(traces::sampler(&sampler.parse().unwrap(), ratio));
        work();
        kept.spans()
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
    fn a_hop_is_the_child_of_its_cause_and_the_parent_of_what_it_asks_for() {
        let spans = exported("parentbased_traceidratio", 1.0, || {
            let hop = Hop::continuing(
                tracing::info_span!("request", otel.kind = "server"),
                Some(&client(true)),
            );
            hop.rename("GET /todos".into());
            hop.span().in_scope(|| {
                let sent = TraceContext::current().unwrap();
                assert_eq!(sent, hop.context().unwrap());
                assert_eq!(sent.tracestate().unwrap(), "rojo=1");
                drop(Hop::continuing(tracing::info_span!(parent: None, "rpc"), Some(&sent)));
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
    fn what_follows_is_a_trace_of_its_own_with_a_link() {
        let spans = exported("parentbased_traceidratio", 1.0, || {
            let request = Hop::continuing(tracing::info_span!("request"), None);
            let cause = request.context().unwrap();
            request.span().in_scope(|| {
                drop(Hop::following(
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
    fn the_word_of_the_client_counts_over_the_ratio_and_what_follows_does_as_its_cause() {
        for sampled in [true, false] {
            for ratio in [0.0, 1.0] {
                let spans = exported("parentbased_traceidratio", ratio, || {
                    let cause = client(sampled);
                    let hop = Hop::continuing(tracing::info_span!("request"), Some(&cause));
                    assert_eq!(hop.is_recording(), sampled);
                    assert_eq!(hop.context().unwrap().traceparent().ends_with("-01"), sampled);
                    drop(Hop::following(
                        tracing::info_span!(parent: None, "message"),
                        Some(cause),
                    ));
                });
                assert_eq!(spans.len(), if sampled { 2 } else { 0 }, "{sampled} {ratio}");
            }
        }
        let spans = exported("traceidratio", 0.0, || {
            drop(Hop::continuing(tracing::info_span!("request"), Some(&client(true))));
        });
        assert_eq!(spans.len(), 0, "not parent based");
    }

    #[test]
    fn without_a_subscriber_a_hop_is_nowhere() {
        let hop = Hop::continuing(tracing::info_span!("request"), Some(&client(true)));
        assert_eq!(hop.context(), None);
        assert_eq!(TraceContext::current(), None);
    }
}
