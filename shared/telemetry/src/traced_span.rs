//! One process's part of a trace: a request, a call, a message, an attempt at a job.
//!
//! Where spans are exported, OpenTelemetry has them, with all that is recorded of each. Where none is,
//! they have their ids alone, which are drawn here: log lines and the next process need no more.

use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, Key, KeyValue, Value};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing::{Dispatch, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

use crate::{TraceContext, traces};

/// A span with a position in a trace. The next process continues from it, and the log lines within
/// it carry its ids. Clones share one span; it ends when the last of them, and of its
/// [`TracedSpan::span`], is dropped.
#[derive(Debug, Clone)]
pub struct TracedSpan {
    span: Span,
    context: Option<TraceContext>,
    /// Set while the span is recorded.
    recording: Option<Context>,
}

/// Where a span is in its trace: an extension of the span, which log lines read.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    context: SpanContext,
    /// The linked trace; of several, the first.
    pub(crate) linked: Option<TraceId>,
}

impl Position {
    pub(crate) fn trace(&self) -> TraceId {
        self.context.trace_id()
    }

    pub(crate) fn span(&self) -> SpanId {
        self.context.span_id()
    }

    /// That of the innermost span around `span`, itself included, that has one.
    fn around(span: &Span) -> Option<SpanContext> {
        let found = span.with_subscriber(|(id, subscriber)| {
            let span = subscriber.downcast_ref::<Registry>()?.span(id)?;
            let context = |extensions: &Self| extensions.context.clone();
            span.scope()
                .find_map(|outer| outer.extensions().get::<Self>().map(context))
        });
        found.flatten()
    }
}

/// Whether spans are recorded, so that their ids are OpenTelemetry's.
fn are_recorded(span: &Span) -> bool {
    let is_there = |subscriber: &Dispatch| subscriber.downcast_ref::<traces::Recorder>().is_some();
    span.with_subscriber(|(_, subscriber)| is_there(subscriber))
        .unwrap_or_default()
}

/// The context of the span; `None` outside of any trace.
pub(crate) fn context_of(span: &Span) -> Option<SpanContext> {
    match are_recorded(span) {
        true => Some(span.context().span().span_context().clone()).filter(SpanContext::is_valid),
        false => Position::around(span),
    }
}

impl TracedSpan {
    /// Makes `span` the child of `parent`, a span of the process that waits for the answer. Without
    /// one, its parent is the span around it in this process, or it is the root of a new trace.
    pub fn child_of(span: Span, parent: Option<&TraceContext>) -> Self {
        if are_recorded(&span) {
            if let Some(parent) = parent {
                // This fails where the span is filtered out, and has no parents.
                let _ = span.set_parent(Context::new().with_remote_span_context(parent.0.clone()));
            }
            return Self::recorded(span, None);
        }
        let parent = parent
            .map(|parent| parent.0.clone())
            .or_else(|| Position::around(&span));
        let (trace, flags, state) = match parent {
            Some(parent) => (parent.trace_id(), parent.trace_flags(), parent.trace_state().clone()),
            None => (
                RandomIdGenerator::default().new_trace_id(),
                TraceFlags::NOT_SAMPLED,
                TraceState::NONE,
            ),
        };
        Self::unrecorded(span, (trace, flags, state), None)
    }

    /// Links `span` to its causes, which have ended or do not wait for it. Create the span with
    /// `parent: None`, so that it is the root of a trace of its own.
    pub fn linked_to(span: Span, causes: impl IntoIterator<Item = TraceContext>) -> Self {
        let are_recorded = are_recorded(&span);
        let (mut linked, mut flags) = (None, TraceFlags::NOT_SAMPLED);
        for TraceContext(cause) in causes {
            linked = linked.or(Some(cause.trace_id()));
            flags = flags | cause.trace_flags();
            if are_recorded {
                span.add_link(cause);
            }
        }
        if are_recorded {
            return Self::recorded(span, linked);
        }
        let trace = RandomIdGenerator::default().new_trace_id();
        Self::unrecorded(span, (trace, flags, TraceState::NONE), linked)
    }

    /// A span that OpenTelemetry has.
    fn recorded(span: Span, linked: Option<TraceId>) -> Self {
        let context = span.context();
        let position = context.span().span_context().clone();
        let is_recording = context.span().is_recording();
        let mut traced_span = Self {
            span,
            context: None,
            recording: is_recording.then_some(context),
        };
        if position.is_valid() {
            traced_span.place(position, linked);
        }
        traced_span
    }

    /// A span of these ids, without more. Whether its trace is exported elsewhere is passed on.
    fn unrecorded(span: Span, of: (TraceId, TraceFlags, TraceState), linked: Option<TraceId>) -> Self {
        let (trace, flags, state) = of;
        let id = RandomIdGenerator::default().new_span_id();
        let mut traced_span = Self {
            span,
            context: None,
            recording: None,
        };
        traced_span.place(SpanContext::new(trace, id, flags, false, state), linked);
        traced_span
    }

    /// Gives the span its position, where spans are kept at all.
    fn place(&mut self, context: SpanContext, linked: Option<TraceId>) {
        let placed = self.span.with_subscriber(|(id, subscriber)| {
            let span = subscriber.downcast_ref::<Registry>()?.span(id)?;
            let context = context.clone();
            span.extensions_mut().replace(Position { context, linked });
            Some(())
        });
        self.context = placed.flatten().map(|()| TraceContext(context));
    }

    /// The span, to be entered.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Its context, for the next process; `None` where there are no traces.
    pub fn context(&self) -> Option<TraceContext> {
        self.context.clone()
    }

    /// Whether it will be exported, so that attributes that are costly to compute are worth it.
    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Sets its name, which is often not known when it begins.
    pub fn set_name(&self, name: String) {
        if let Some(context) = &self.recording {
            context.span().update_name(name);
        }
    }

    /// Sets an attribute, named by the semantic conventions of OpenTelemetry.
    pub fn set_attribute(&self, name: impl Into<Key>, value: impl Into<Value>) {
        if let Some(context) = &self.recording {
            context.span().set_attribute(KeyValue::new(name, value));
        }
    }

    /// Sets its status to an error.
    pub fn set_error(&self, why: String) {
        if let Some(context) = &self.recording {
            context.span().set_status(Status::error(why));
        }
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
    fn where_nothing_is_exported_spans_have_their_ids_all_the_same() {
        let spans = tracing_subscriber::registry();
        tracing::subscriber::with_default(spans, || {
            for sampled in [true, false] {
                let client = client(sampled);
                let request = TracedSpan::child_of(tracing::info_span!("request"), Some(&client));
                let context = request.context().unwrap();
                assert!(!request.is_recording());
                assert_eq!(context.0.trace_id(), client.0.trace_id());
                assert_ne!(context.0.span_id(), client.0.span_id());
                assert_eq!(context.tracestate().unwrap(), "rojo=1");
                assert_eq!(context.traceparent().ends_with("-01"), sampled);
                request.span().in_scope(|| {
                    assert_eq!(TraceContext::current().unwrap(), context);
                    tracing::info_span!("deeper").in_scope(|| assert_eq!(TraceContext::current().unwrap(), context));
                    let inner = TracedSpan::child_of(tracing::info_span!("inner"), None);
                    let inner = inner.context().unwrap();
                    assert_eq!(inner.0.trace_id(), context.0.trace_id());
                    assert_ne!(inner.0.span_id(), context.0.span_id());
                });
                let message = TracedSpan::linked_to(tracing::info_span!(parent: None, "message"), Some(context));
                let message = message.context().unwrap();
                assert_ne!(message.0.trace_id(), client.0.trace_id());
                assert_eq!(message.traceparent().ends_with("-01"), sampled);
            }
            let roots = [(); 2].map(|()| {
                TracedSpan::child_of(tracing::info_span!("root"), None)
                    .context()
                    .unwrap()
            });
            assert_ne!(roots[0].0.trace_id(), roots[1].0.trace_id());
            assert!(roots.iter().all(|root| root.traceparent().ends_with("-00")));
            assert_eq!(TraceContext::current(), None);
        });
    }

    #[test]
    fn without_a_subscriber_a_span_has_no_context() {
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
            let traced_span = TracedSpan::child_of(tracing::info_span!("request"), Some(&client(true)));
            assert_eq!(traced_span.context(), None);
            assert_eq!(TraceContext::current(), None);
        });
    }
}
