//! Log lines: which are written, and in which format.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Json, JsonFields, Writer};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::fmt::{self as lines, FmtContext};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::Config;
use crate::traced_span::Ids;
use crate::traces::is_ours;

/// A checked filter, in the syntax of `tracing_subscriber::EnvFilter`.
#[derive(Debug, Clone)]
pub struct Filter(String);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        EnvFilter::try_new(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected auto, text or json".into()),
        }
    }
}

/// Writes lines to standard error.
pub(crate) fn layer<S>(config: &Config) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let terminal = std::io::stderr().is_terminal();
    let layer = lines::layer().with_writer(std::io::stderr);
    let text = match config.log_format {
        Format::Json => false,
        Format::Auto => terminal,
        Format::Text => true,
    };
    // A line that is written carries the fields of its request, however strict the filter is.
    let filter = EnvFilter::new(&config.log_filter.0).or(filter_fn(|metadata| metadata.is_span() && is_ours(metadata)));
    match text {
        true => layer.with_ansi(terminal).with_filter(filter).boxed(),
        false => layer
            .fmt_fields(JsonFields::new())
            .event_format(Traced::default())
            .with_filter(filter)
            .boxed(),
    }
}

/// Formats a line as a JSON object that begins with the ids of its trace, if it has one.
struct Traced(format::Format<Json, SystemTime>);

impl Default for Traced {
    fn default() -> Self {
        Self(format::format().json().flatten_event(true))
    }
}

impl<S, N> FormatEvent<S, N> for Traced
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let ids = context
            .event_scope()
            .and_then(|mut scope| scope.find_map(|span| span.extensions().get::<Ids>().copied()));
        let Some(ids) = ids else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::with_capacity(512);
        self.0.format_event(context, Writer::new(&mut line), event)?;
        write!(writer, r#"{{"trace_id":"{}","span_id":"{}","#, ids.trace, ids.span)?;
        if let Some(linked) = ids.linked {
            write!(writer, r#""linked_trace_id":"{linked}","#)?;
        }
        // A timestamp and a level always follow the brace.
        writer.write_str(line.strip_prefix('{').unwrap_or(&line))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use opentelemetry_sdk::trace::SdkTracerProvider;
    use parking_lot::Mutex;
    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::{TraceContext, TracedSpan, traces};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `work` writes while nothing is exported.
    fn written(work: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = lines::layer()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields::new())
            .event_format(Traced::default());
        let provider = SdkTracerProvider::builder()
            .with_sampler(traces::sampler(&"always_off".parse().unwrap(), 0.0))
            .build();
        let subscriber = tracing_subscriber::registry()
            .with(traces::layer(&provider))
            .with(layer);
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_line_within_a_span_has_its_ids_and_one_outside_has_none() {
        let lines = written(|| {
            tracing::info!("before");
            let cause = TraceContext::parse(CLIENT, None).unwrap();
            let traced_span = TracedSpan::child_of(tracing::info_span!("request", request_id = "r-1"), Some(&cause));
            traced_span.span().in_scope(|| {
                tracing::info!(answer = 42, "within");
                tracing::info_span!("deeper").in_scope(|| tracing::info!("deeper"));
            });
        });
        assert_eq!(lines[0]["trace_id"], Value::Null);
        for line in &lines[1..] {
            assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736", "{line}");
            let span = line["span_id"].as_str().unwrap();
            assert!(span.len() == 16 && span != "00f067aa0ba902b7", "{line}");
        }
        assert_eq!(
            (&lines[1]["answer"], &lines[1]["message"]),
            (&42.into(), &"within".into())
        );
        assert_eq!(lines[1]["span"]["request_id"], "r-1");
    }

    #[test]
    fn a_line_of_a_linked_trace_names_the_trace_of_its_cause() {
        let lines = written(|| {
            let cause = TraceContext::parse(CLIENT, None).unwrap();
            let traced_span = TracedSpan::linked_to(tracing::info_span!(parent: None, "job"), Some(cause));
            traced_span.span().in_scope(|| tracing::info!("within"));
        });
        assert_eq!(lines[0]["linked_trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(lines[0]["trace_id"], lines[0]["linked_trace_id"]);
        assert_eq!(lines[0]["trace_id"].as_str().unwrap().len(), 32);
    }
}
