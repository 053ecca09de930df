//! Lines for programs.

use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::traced_span::Position;

/// Formats a line as a JSON object that begins with the ids of its trace, if it has one. The shape is
/// that of `tracing_subscriber`'s own format with flattened fields; that one parses the fields of each
/// span again for each line.
pub(crate) struct Traced;

impl<S, N> FormatEvent<S, N> for Traced
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        writer.write_char('{')?;
        let position = context
            .event_scope()
            .and_then(|mut scope| scope.find_map(|span| span.extensions().get::<Position>().cloned()));
        if let Some(position) = position {
            write!(
                writer,
                r#""trace_id":"{}","span_id":"{}","#,
                position.trace(),
                position.span()
            )?;
            if let Some(linked) = position.linked {
                write!(writer, r#""linked_trace_id":"{linked}","#)?;
            }
        }
        writer.write_str(r#""timestamp":""#)?;
        SystemTime.format_time(&mut writer)?;
        let metadata = event.metadata();
        write!(writer, r#"","level":"{}""#, metadata.level())?;
        let mut fields = Fields {
            writer: &mut writer,
            outcome: Ok(()),
        };
        event.record(&mut fields);
        fields.outcome?;
        writer.write_str(r#","target":"#)?;
        string(&mut writer, metadata.target())?;
        if let Some(innermost) = context.lookup_current() {
            writer.write_str(r#","span":"#)?;
            span::<S, N>(&mut writer, &innermost)?;
            writer.write_str(r#","spans":["#)?;
            let mut is_first = true;
            for outer in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
                if !std::mem::take(&mut is_first) {
                    writer.write_char(',')?;
                }
                span::<S, N>(&mut writer, &outer)?;
            }
            writer.write_char(']')?;
        }
        writer.write_str("}\n")
    }
}

/// Writes a span: its fields, which are JSON already, and its name.
fn span<'a, S, N>(writer: &mut Writer<'_>, span: &tracing_subscriber::registry::SpanRef<'a, S>) -> fmt::Result
where
    S: Subscriber + for<'b> LookupSpan<'b>,
    N: for<'b> FormatFields<'b> + 'static,
{
    let extensions = span.extensions();
    let fields = extensions.get::<FormattedFields<N>>();
    let fields = fields.map_or("", |fields| fields.fields.as_str());
    let fields = fields.strip_prefix('{').and_then(|fields| fields.strip_suffix('}'));
    writer.write_char('{')?;
    if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
        write!(writer, "{fields},")?;
    }
    writer.write_str(r#""name":"#)?;
    string(writer, span.name())?;
    writer.write_char('}')
}

/// Writes the fields of an event.
struct Fields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    outcome: fmt::Result,
}

impl Fields<'_, '_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let name = field.name();
        let written = self.outcome.and_then(|()| {
            self.writer.write_char(',')?;
            string(self.writer, name.strip_prefix("r#").unwrap_or(name))?;
            self.writer.write_char(':')?;
            value(self.writer)
        });
        self.outcome = written;
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |writer| string(writer, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, |writer| match value.is_finite() {
            true => write!(writer, "{value:?}"),
            // JSON has no other numbers.
            false => writer.write_str("null"),
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, |writer| {
            writer.write_char('"')?;
            write!(Escaped(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }
}

fn string(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    Escaped(writer).write_str(text)?;
    writer.write_char('"')
}

/// Writes text as it stands within a JSON string (RFC 8259 §7).
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|character: char| character < ' ' || matches!(character, '"' | '\\')) {
            let (plain, special) = rest.split_at(at);
            self.0.write_str(plain)?;
            let (special, after) = special.split_at(1);
            match special {
                "\"" => self.0.write_str("\\\"")?,
                "\\" => self.0.write_str("\\\\")?,
                "\n" => self.0.write_str("\\n")?,
                "\r" => self.0.write_str("\\r")?,
                "\t" => self.0.write_str("\\t")?,
                control => write!(self.0, "\\u{:04x}", control.as_bytes()[0])?,
            }
            rest = after;
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use opentelemetry_sdk::trace::SdkTracerProvider;
    use parking_lot::Mutex;
    use serde_json::Value;
    use tracing_subscriber::Layer;
    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::fmt::{self as lines};
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
            .event_format(Traced);
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

    #[test]
    fn a_line_is_what_tracing_subscriber_would_have_written() {
        let both = [Lines::default(), Lines::default()];
        let [ours, theirs] = both.clone();
        let layers = lines::layer()
            .with_writer(move || ours.clone())
            .fmt_fields(JsonFields::new())
            .event_format(Traced)
            .and_then(
                lines::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(move || theirs.clone()),
            );
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layers), || {
            let texts = [
                "plain",
                "a \"quoted\" \\ back\nslash\r\t\u{1}\u{7f}",
                "日本語 😀 \u{2028}",
                "",
            ];
            tracing::warn!("before: {}", texts[1]);
            let outer = tracing::info_span!("outer", text = texts[1], count = 3, late = tracing::field::Empty);
            outer.record("late", true);
            outer.in_scope(|| {
                tracing::info!(
                    small = -1,
                    large = u64::MAX,
                    half = 0.5,
                    whole = 2.0,
                    none = f64::NAN,
                    yes = true,
                    "{}",
                    texts[2]
                );
                tracing::info_span!("inner", nothing = Option::<u8>::None).in_scope(|| {
                    for text in texts {
                        tracing::error!(text, debug = ?text, display = %text, r#type = 1, wide = u128::MAX, "within");
                    }
                });
            });
        });
        let values = both.map(|lines| {
            let text = String::from_utf8(lines.0.lock().clone()).unwrap();
            let lines = text.lines().map(|line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                assert!(line["timestamp"].take().as_str().unwrap().ends_with('Z'));
                line
            });
            lines.collect::<Vec<_>>()
        });
        assert_eq!(values[0].len(), 6);
        assert_eq!(values[0], values[1]);
    }
}
