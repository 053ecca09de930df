//! Lines for people: time, level, where it is from, what happened, and of the spans around it the
//! innermost alone.
//!
//! ```text
//! 14:02:11.482  INFO gateway::edge::access_log: request method=POST path=/api/v1/todos status=201  trace_id=4bf9…
//! 14:02:11.497  INFO jobs::workers::attempt: attempt ended ending="succeeded"  job: id=01a2… kind="send_email"
//! ```

use std::fmt;

use tracing::field::Field;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::{MakeExt, RecordFields};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::traced_span::Position;

/// Formats a line as text, of what `clock` prints.
pub(crate) struct Text<T>(pub(crate) T);

/// Formats fields: `name=value`, without those that are for exporters.
pub(crate) struct Fields;

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let write = |writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| match field.name() {
            "message" => write!(writer, "{value:?}"),
            // The method of a call is a path with a slash in front.
            name => write!(writer, "{name}={value:?}"),
        };
        let skipping = format::debug_fn(move |writer, field, value| match field.name().starts_with("otel.") {
            true => Ok(()),
            false => write(writer, field, value),
        });
        skipping.delimited(" ").format_fields(writer, fields)
    }
}

impl<S, N, T> FormatEvent<S, N> for Text<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let (dim, plain) = match writer.has_ansi_escapes() {
            true => ("\x1b[2m", "\x1b[0m"),
            false => ("", ""),
        };
        let colour = match *metadata.level() {
            _ if plain.is_empty() => "",
            Level::ERROR => "\x1b[1;31m",
            Level::WARN => "\x1b[33m",
            Level::INFO => "\x1b[32m",
            Level::DEBUG => "\x1b[34m",
            Level::TRACE => "\x1b[35m",
        };
        write!(writer, "{dim}")?;
        self.0.format_time(&mut writer)?;
        let target = metadata.target();
        let target = target.strip_prefix("quartet_").unwrap_or(target);
        write!(
            writer,
            "{plain} {colour}{:>5}{plain} {dim}{target}:{plain} ",
            metadata.level()
        )?;
        let mut what = String::with_capacity(256);
        context.format_fields(Writer::new(&mut what), event)?;
        writer.write_str(&what)?;
        if let Some(span) = context.lookup_current() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>();
            let fields = fields.map_or("", |fields| fields.fields.as_str());
            write!(writer, "  {dim}{}:", span.name())?;
            // The line of a request repeats what its span has, for whoever reads lines by program.
            for field in fields.split_whitespace().filter(|field| !what.contains(field)) {
                write!(writer, " {field}")?;
            }
            if let Some(position) = extensions.get::<Position>() {
                write!(writer, " trace_id={}", position.trace())?;
            }
            write!(writer, "{plain}")?;
        }
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::fmt as lines;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

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

    /// Noon, whenever it is.
    struct Noon;

    impl FormatTime for Noon {
        fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
            writer.write_str("12:00:00")
        }
    }

    #[test]
    fn a_line_has_its_innermost_span_and_repeats_nothing_of_it() {
        let written = Lines::default();
        let writer = written.clone();
        let layer = lines::layer()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .fmt_fields(Fields)
            .event_format(Text(Noon));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info_span!("request", otel.kind = "server", id = 7).in_scope(|| {
                tracing::info!(id = 7, user = Option::<u32>::None, "within");
                tracing::info_span!("job", kind = "export").in_scope(|| tracing::warn!(attempts = 2, "deeper"));
            });
            tracing::info!("outside");
        });
        let text = String::from_utf8(written.0.lock().clone()).unwrap();
        let target = "telemetry::logs::text::tests";
        let expected = [
            format!("12:00:00  INFO {target}: within id=7  request:"),
            format!("12:00:00  WARN {target}: deeper attempts=2  job: kind=\"export\""),
            format!("12:00:00  INFO {target}: outside"),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}
