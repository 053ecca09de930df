//! Records the statements on SQLite, each with the call that it belongs to.
//!
//! sqlx writes a log event per statement, within the span of whoever sends it. `begin` and `commit`
//! have none: in this process they cost no round trip.

use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Records statements.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Statement>>>);

struct Statement {
    /// The service whose call sent it, such as `todos`; empty outside of a call.
    service: String,
    sql: String,
}

/// The service of a call, on the call's span.
struct Service(String);

impl Recorder {
    /// The recorder of this process.
    pub(crate) fn install() -> Self {
        static RECORDER: LazyLock<Recorder> = LazyLock::new(|| {
            let recorder = Recorder::default();
            let subscriber = Registry::default().with(recorder.clone());
            tracing::subscriber::set_global_default(subscriber).expect("there is no other subscriber");
            recorder
        });
        RECORDER.clone()
    }

    /// How many statements there were since the last [`Recorder::take`].
    pub(crate) fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// The statements that `service` has sent since the last call of this, and those of tasks that
    /// have left the span of their call, such as a stream's.
    pub(crate) fn take(&self, service: &str) -> Vec<String> {
        let statements = std::mem::take(&mut *self.0.lock());
        let own = statements
            .into_iter()
            .filter(|statement| statement.service.is_empty() || statement.service == service);
        own.map(|statement| statement.sql).collect()
    }
}

impl<S> Layer<S> for Recorder
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_span() || metadata.target() == "sqlx::query"
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut path = Text::named("method");
        attributes.record(&mut path);
        // Such as `/quartet.todos.v1.TodoService/GetTodo`.
        let service = path
            .text
            .strip_prefix("/quartet.")
            .and_then(|rest| rest.split('.').next());
        if let (Some(service), Some(span)) = (service, context.span(id)) {
            span.extensions_mut().insert(Service(service.to_owned()));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let calls = context.event_scope(event).into_iter().flatten();
        let service = calls
            .filter_map(|span| span.extensions().get::<Service>().map(|Service(name)| name.clone()))
            .next();
        let (mut summary, mut sql) = (Text::named("summary"), Text::named("db.statement"));
        event.record(&mut summary);
        event.record(&mut sql);
        self.0.lock().push(Statement {
            service: service.unwrap_or_default(),
            sql: if sql.text.is_empty() { summary.text } else { sql.text },
        });
    }
}

/// The text of one field.
struct Text {
    name: &'static str,
    text: String,
}

impl Text {
    fn named(name: &'static str) -> Self {
        let text = String::new();
        Self { name, text }
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.name {
            value.clone_into(&mut self.text);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == self.name {
            self.text = format!("{value:?}");
        }
    }
}
