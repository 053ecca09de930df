//! Lines to a collector, by OTLP.
//!
//! The records have the ids of their traces. The context of the SDK is not kept (see
//! `traces::layer`), so this takes them from the span, as the other formats do.

use std::fmt;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry_otlp::{LogExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::Error;
use crate::traced_span::Position;

/// Exports log records to `endpoint`, in batches.
pub(crate) fn provider(endpoint: &str, resource: Resource) -> Result<SdkLoggerProvider, Error> {
    let exporter = LogExporter::builder().with_tonic().with_endpoint(endpoint).build();
    let exporter = exporter.map_err(|error| Error::Exporter(error.to_string()))?;
    Ok(SdkLoggerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

/// Makes a log record of every event.
pub(crate) struct Records(SdkLogger);

impl Records {
    pub(crate) fn new(provider: &SdkLoggerProvider) -> Self {
        Self(provider.logger("quartet"))
    }
}

impl<S> Layer<S> for Records
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut record = self.0.create_log_record();
        record.set_target(metadata.target().to_owned());
        #[expect(clippy::disallowed_methods, reason = "a line is of the time at which it is written")]
        record.set_timestamp(SystemTime::now());
        record.set_severity_text(metadata.level().as_str());
        record.set_severity_number(match *metadata.level() {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warn,
            Level::INFO => Severity::Info,
            Level::DEBUG => Severity::Debug,
            Level::TRACE => Severity::Trace,
        });
        event.record(&mut Attributes(&mut record));
        let position = context
            .event_scope(event)
            .and_then(|mut scope| scope.find_map(|span| span.extensions().get::<Position>().cloned()));
        if let Some(position) = position {
            record.set_trace_context(position.trace(), position.span(), None);
        }
        self.0.emit(record);
    }
}

/// Writes the fields of an event into a record.
struct Attributes<'a>(&'a mut SdkLogRecord);

impl Attributes<'_> {
    fn add(&mut self, field: &Field, value: impl Into<AnyValue>) {
        match field.name() {
            "message" => self.0.set_body(value.into()),
            name => self.0.add_attribute(name, value),
        }
    }
}

impl Visit for Attributes<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.add(field, value),
            Err(_) => self.add(field, value.to_string()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }
}
