//! One attempt of a handler at a message, bounded in time, with panics caught, as traces and metrics see it.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use metrics::Label;
use quartet_telemetry::Hop;
use quartet_telemetry::metrics::MESSAGING_PROCESS_DURATION;
use tracing::Instrument;

use crate::{Handler, Message, Outcome};

/// What comes of `handler` and `message` within `timeout`.
///
/// It is a trace of its own, linked to the one that the message comes from: nobody there waits for it, and there may be several attempts.
pub(crate) async fn attempt(handler: &dyn Handler, message: &Message, timeout: Duration) -> Outcome {
    let begun = Instant::now();
    let span =
        tracing::info_span!(parent: None, "message", otel.kind = "consumer", kind = message.kind, id = %message.id);
    let hop = Hop::following(span, message.cause().as_ref());
    // What a handler shares with others is a store, whose transaction rolls back when it unwinds.
    let handled = AssertUnwindSafe(handler.handle(message)).catch_unwind();
    let handled = tokio::time::timeout(timeout, handled.instrument(hop.span().clone()));
    let outcome = match handled.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::Retry {
            reason: "the handler panicked".into(),
        },
        Err(_) => Outcome::Retry {
            reason: format!("the handler took longer than {timeout:?}"),
        },
    };
    tell(&hop, message, &outcome, begun.elapsed());
    outcome
}

fn tell(hop: &Hop, message: &Message, outcome: &Outcome, elapsed: Duration) {
    let (name, failure) = match outcome {
        Outcome::Done => ("done", None),
        Outcome::Retry { reason } => ("retry", Some(reason)),
        Outcome::Dead { reason } => ("dead", Some(reason)),
    };
    if hop.is_recording() {
        hop.rename(format!("process {}", message.kind));
        hop.set("messaging.operation.name", "process");
        hop.set("messaging.operation.type", "process");
        hop.set("messaging.message.id", message.id.to_string());
        hop.set("cloudevents.event_id", message.id.to_string());
        hop.set("cloudevents.event_source", message.source.clone());
        hop.set("cloudevents.event_type", message.kind.clone());
        hop.set("cloudevents.event_subject", message.subject.clone());
        hop.set("outcome", name);
        if let Some(reason) = failure {
            hop.fail(reason.clone());
        }
    }
    if quartet_telemetry::metrics::is_on() {
        let labels = vec![Label::new("kind", message.kind.clone()), Label::new("outcome", name)];
        metrics::histogram!(MESSAGING_PROCESS_DURATION, labels).record(elapsed);
    }
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    // Also where the line is not written: the span ends when it was last entered.
    hop.span()
        .in_scope(|| tracing::debug!(outcome = name, elapsed_us, "message"));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    use quartet_clock::Clock;
    use quartet_telemetry::TraceContext;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Says something itself, and keeps what it said.
    struct Sayer(Mutex<Vec<Message>>);

    #[async_trait]
    impl Handler for Sayer {
        async fn handle(&self, _: &Message) -> Outcome {
            let said = Message::event(&Clock::system(), "/here", "here.said.v1", "it", &());
            self.0.lock().unwrap().push(said);
            Outcome::Done
        }
    }

    #[test]
    fn a_message_comes_from_where_it_was_made_and_what_its_handler_says_goes_on_from_the_handler() {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let subscriber = tracing_subscriber::registry().with(quartet_telemetry::traces::layer(&provider));
        let _current = tracing::subscriber::set_default(subscriber);

        let request = Hop::continuing(tracing::info_span!("request"), None);
        let message = request
            .span()
            .in_scope(|| Message::event(&Clock::system(), "/there", "there.done.v1", "it", &()));
        let place = request.context().unwrap();
        assert_eq!(message.traceparent, Some(place.traceparent()));

        let sayer = Sayer(Mutex::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        assert_eq!(
            runtime.block_on(attempt(&sayer, &message, Duration::from_secs(5))),
            Outcome::Done
        );

        let spans = exporter.get_finished_spans().unwrap();
        let handled = spans.iter().find(|span| span.name == "process there.done.v1").unwrap();
        let linked = &handled.links.links[0].span_context;
        let linked = format!("00-{}-{}-01", linked.trace_id(), linked.span_id());
        assert_eq!(Some(linked), message.traceparent);
        let said = sayer.0.lock().unwrap().pop().unwrap();
        let expected = format!(
            "00-{}-{}-01",
            handled.span_context.trace_id(),
            handled.span_context.span_id()
        );
        assert_eq!(said.cause().as_ref().map(TraceContext::traceparent), Some(expected));
    }
}
