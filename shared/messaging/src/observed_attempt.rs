//! An attempt at messages, as traces and metrics see it.

use std::time::{Duration, Instant};

use metrics::Label;
use quartet_telemetry::TracedSpan;
use quartet_telemetry::metrics::{MESSAGING_PROCESS_DURATION, is_on};
use tracing::Instrument;
use tracing::instrument::Instrumented;

use crate::{Failure, Message};

/// What came of an attempt at one message.
type Outcome = Result<(), Failure>;

/// An attempt that is being made.
///
/// It is a trace of its own, linked to those that the messages come from: nobody there waits for
/// it, and there may be several attempts.
pub(crate) struct ObservedAttempt {
    traced_span: TracedSpan,
    begun: Instant,
}

impl ObservedAttempt {
    pub(crate) fn begin(messages: &[&Message]) -> Self {
        let span = match messages {
            [one] => {
                tracing::info_span!(parent: None, "message", otel.kind = "consumer", kind = one.kind, id = %one.id)
            }
            several => tracing::info_span!(parent: None, "messages", otel.kind = "consumer", count = several.len()),
        };
        Self {
            traced_span: TracedSpan::linked_to(span, messages.iter().filter_map(|message| message.cause())),
            begun: Instant::now(),
        }
    }

    /// The handler's work, whose log lines and messages belong to this attempt.
    pub(crate) fn within<F: Future>(&self, work: F) -> Instrumented<F> {
        work.instrument(self.traced_span.span().clone())
    }

    /// Records what came of each message. An attempt without an end is recorded as a span alone:
    /// another one is made of its messages at once.
    pub(crate) fn end(&self, messages: &[&Message], outcomes: &[Outcome]) {
        if self.traced_span.is_recording() {
            self.describe(messages, outcomes);
        }
        let elapsed = self.begun.elapsed();
        if is_on() {
            for (message, outcome) in messages.iter().zip(outcomes) {
                count(message, outcome, elapsed);
            }
        }
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        // Also where the line is not written: the span ends when it was last entered.
        self.traced_span.span().in_scope(|| match outcomes {
            [one] => tracing::debug!(outcome = name(one), elapsed_us, "message"),
            _ => tracing::debug!(elapsed_us, "messages"),
        });
    }

    fn describe(&self, messages: &[&Message], outcomes: &[Outcome]) {
        let traced_span = &self.traced_span;
        traced_span.set_attribute("messaging.operation.name", "process");
        traced_span.set_attribute("messaging.operation.type", "process");
        match messages {
            [one] => {
                traced_span.set_name(format!("process {}", one.kind));
                traced_span.set_attribute("messaging.message.id", one.id.to_string());
                traced_span.set_attribute("cloudevents.event_id", one.id.to_string());
                traced_span.set_attribute("cloudevents.event_source", one.source.clone());
                traced_span.set_attribute("cloudevents.event_type", one.kind.clone());
                traced_span.set_attribute("cloudevents.event_subject", one.subject.clone());
            }
            several => {
                traced_span.set_name("process messages".into());
                traced_span.set_attribute(
                    "messaging.batch.message_count",
                    i64::try_from(several.len()).unwrap_or(i64::MAX),
                );
            }
        }
        // Of several, the worst outcome.
        let worst = outcomes.iter().max_by_key(|outcome| match outcome {
            Ok(()) => 0,
            Err(Failure::Transient(_)) => 1,
            Err(Failure::Permanent(_)) => 2,
        });
        if let Some(outcome) = worst {
            traced_span.set_attribute("outcome", name(outcome));
        }
        if let Some(Err(failure)) = worst {
            traced_span.set_error(failure.reason().clone());
        }
    }
}

fn count(message: &Message, outcome: &Outcome, elapsed: Duration) {
    let labels = vec![
        Label::new("kind", message.kind.clone()),
        Label::new("outcome", name(outcome)),
    ];
    metrics::histogram!(MESSAGING_PROCESS_DURATION, labels).record(elapsed);
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(()) => "done",
        Err(Failure::Transient(_)) => "retry",
        Err(Failure::Permanent(_)) => "dead",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use quartet_clock::Clock;
    use quartet_telemetry::TraceContext;
    use quartet_telemetry::in_memory_exporter::{InMemoryExporter, SpanData};

    use super::*;
    use crate::Handler;
    use crate::handling::{attempt, attempt_all};

    /// Publishes an event itself, and keeps it.
    #[derive(Default)]
    struct Publishing(Mutex<Vec<Message>>);

    #[async_trait]
    impl Handler for Publishing {
        async fn handle(&self, _: &Message) -> Outcome {
            let event = Message::event(&Clock::system(), "/here", "here.done.v1", "it", &());
            self.0.lock().unwrap().push(event);
            Ok(())
        }

        async fn handle_all(&self, messages: &[&Message]) -> Vec<Outcome> {
            vec![Err(Failure::permanent("no")); messages.len()]
        }
    }

    /// What is exported of `work`.
    async fn exported(work: impl AsyncFnOnce()) -> Vec<SpanData> {
        let (exporter, _here) = InMemoryExporter::install();
        work().await;
        exporter.finished_spans()
    }

    /// A message that a request has made.
    fn made() -> Message {
        let request = TracedSpan::child_of(tracing::info_span!("request"), None);
        let message = || Message::event(&Clock::system(), "/there", "there.done.v1", "it", &());
        let message = request.span().in_scope(message);
        let place = request.context().unwrap();
        assert_eq!(message.traceparent, Some(place.traceparent()));
        message
    }

    fn links(span: &SpanData) -> Vec<String> {
        let place = |link: &opentelemetry::trace::Link| {
            format!("00-{}-{}-01", link.span_context.trace_id(), link.span_context.span_id())
        };
        span.links.links.iter().map(place).collect()
    }

    #[tokio::test]
    async fn a_message_comes_from_where_it_was_made_and_what_its_handler_publishes_goes_on_from_the_handler() {
        let (handler, mut message) = (Publishing::default(), None);
        let spans = exported(async || {
            let made = message.insert(made());
            assert_eq!(attempt(&handler, made, Duration::from_secs(5)).await, Ok(()));
        })
        .await;
        let handled = spans.iter().find(|span| span.name == "process there.done.v1").unwrap();
        assert_eq!(links(handled), [message.unwrap().traceparent.unwrap()]);
        let event = handler.0.lock().unwrap().pop().unwrap();
        let (trace, span) = (handled.span_context.trace_id(), handled.span_context.span_id());
        let place = event.cause().as_ref().map(TraceContext::traceparent);
        assert_eq!(place, Some(format!("00-{trace}-{span}-01")));
    }

    #[tokio::test]
    async fn several_messages_together_are_one_span_that_is_linked_to_where_each_was_made() {
        let mut messages = Vec::new();
        let spans = exported(async || {
            messages = vec![made(), made()];
            let together: Vec<&Message> = messages.iter().collect();
            attempt_all(&Publishing::default(), &together, Duration::from_secs(5)).await;
        })
        .await;
        let handled = spans.iter().find(|span| span.name == "process messages").unwrap();
        let made: Vec<_> = messages.into_iter().filter_map(|message| message.traceparent).collect();
        assert_eq!(links(handled), made);
        assert!(matches!(handled.status, opentelemetry::trace::Status::Error { .. }));
    }
}
