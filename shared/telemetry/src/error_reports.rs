//! Errors to Sentry, or another server that speaks its protocol: what was logged as an error, with
//! the build, the environment, the trace and the user's id, and nothing else about anybody.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use quartet_config::Environment;
use sentry::protocol::{Event as Report, Level as ReportLevel, User};
use sentry::types::Dsn;
use sentry::{Client, ClientOptions};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Span, Subscriber};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::build_info;
use crate::traced_span::Position;
use crate::traces::is_ours;

/// Where errors are reported to: a DSN of Sentry, `https://key@host/project`. It is a secret.
#[derive(Clone)]
pub struct Target(Dsn);

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let dsn = text.parse().map(Self);
        dsn.map_err(|_| "expected a DSN such as `https://key@sentry.example.com/1`")
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target(…)")
    }
}

/// A client of the server, which has to be closed, and what reports to it.
pub(crate) fn start(target: &Target, environment: Environment, process: &str) -> (Arc<Client>, Reports) {
    let mut options = ClientOptions::default();
    options.dsn = Some(target.0.clone());
    options.release = Some(format!("quartet@{}+{}", build_info::VERSION, build_info::COMMIT).into());
    options.environment = Some(environment.name().into());
    options.default_integrations = false;
    options.send_default_pii = false;
    options.max_breadcrumbs = 0;
    let client = Arc::new(Client::from(sentry::apply_defaults(options)));
    let process = process.to_owned();
    ON.store(true, Relaxed);
    (client.clone(), Reports { client, process })
}

/// Whether errors are reported, so that it is worth finding out for whom a span is.
static ON: AtomicBool = AtomicBool::new(false);

/// The user whom the work within a span is for.
struct UserId(String);

/// Has errors within the current span name this user.
pub fn set_user(id: impl fmt::Display) {
    if !ON.load(Relaxed) {
        return;
    }
    Span::current().with_subscriber(|(span, subscriber)| {
        if let Some(span) = subscriber
            .downcast_ref::<Registry>()
            .and_then(|registry| registry.span(span))
        {
            span.extensions_mut().replace(UserId(id.to_string()));
        }
    });
}

/// Reports every line of the level error.
pub(crate) struct Reports {
    client: Arc<Client>,
    process: String,
}

impl Reports {
    /// The layer, which is interested in errors, and in the spans that say whose they are. One without a
    /// filter would turn on every callsite of every library.
    pub(crate) fn layer<S>(self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let wanted =
            filter_fn(|metadata| *metadata.level() == Level::ERROR || (metadata.is_span() && is_ours(metadata)));
        self.with_filter(wanted.with_max_level_hint(LevelFilter::INFO)).boxed()
    }
}

impl<S> Layer<S> for Reports
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let mut report = Report {
            level: ReportLevel::Error,
            logger: Some(event.metadata().target().to_owned()),
            server_name: Some(self.process.clone().into()),
            ..Report::default()
        };
        event.record(&mut Fields(&mut report));
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            if let (Some(position), false) = (extensions.get::<Position>(), report.tags.contains_key("trace_id")) {
                report.tags.insert("trace_id".into(), position.trace().to_string());
            }
            if let (Some(UserId(id)), None) = (extensions.get::<UserId>(), &report.user) {
                report.user = Some(User {
                    id: Some(id.clone()),
                    ..User::default()
                });
            }
        }
        self.client.capture_event(report, None);
    }
}

/// Writes the fields of an event into a report. Fields are ids, codes and errors of ours; addresses
/// of clients are left out.
struct Fields<'a>(&'a mut Report<'static>);

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: sentry::protocol::Value) {
        match field.name() {
            "message" => self.0.message = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            "client" | "user_agent" | "peer" | "path" => {}
            name => {
                self.0.extra.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::{TraceContext, TracedSpan, traces};

    /// Receives one request: its head and its body.
    fn receive(listener: &TcpListener) -> (String, String) {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut reader = BufReader::new(&stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap()];
        reader.read_exact(&mut body).unwrap();
        write!(&stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    #[test]
    fn an_error_arrives_with_its_build_trace_and_user_and_without_the_clients_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dsn = format!("http://public@{}/7", listener.local_addr().unwrap());
        let received = std::thread::spawn(move || receive(&listener));
        let (client, reports) = start(&dsn.parse().unwrap(), Environment::Staging, "todos");
        let provider = SdkTracerProvider::builder().build();
        let subscriber = tracing_subscriber::registry()
            .with(traces::layer(&provider))
            .with(reports.layer());
        tracing::subscriber::with_default(subscriber, || {
            let cause = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
            let request = TracedSpan::child_of(tracing::info_span!("request"), cause.as_ref());
            request.span().in_scope(|| {
                set_user("01890a5d-ac96-774b-bcce-b302099a8057");
                tracing::warn!("not reported");
                tracing::error!(
                    client = "192.0.2.7",
                    reason = "STORE_AWAY",
                    attempts = 3,
                    "the store is away"
                );
            });
        });
        client.close(Some(Duration::from_secs(10)));
        let (head, body) = received.join().unwrap();
        assert!(head.starts_with("POST /api/7/envelope/"), "{head}");
        let event: serde_json::Value = serde_json::from_str(body.lines().nth(2).unwrap()).unwrap();
        assert_eq!(event["message"], "the store is away");
        assert_eq!(event["environment"], "staging");
        assert!(event["release"].as_str().unwrap().starts_with("quartet@"), "{event}");
        assert_eq!(event["tags"]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(event["user"]["id"], "01890a5d-ac96-774b-bcce-b302099a8057");
        assert_eq!(
            event["extra"],
            serde_json::json!({"reason": "STORE_AWAY", "attempts": 3})
        );
        assert!(!body.contains("192.0.2.7"), "{body}");
    }

    #[test]
    fn a_target_is_a_dsn_and_is_not_printed() {
        assert!("https://sentry.example.com/1".parse::<Target>().is_err());
        let target: Target = "https://key@sentry.example.com/1".parse().unwrap();
        assert_eq!(format!("{target:?}"), "Target(…)");
    }
}
