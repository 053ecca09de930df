//! Log lines: which are written, in which format, and where to.

pub(crate) mod export;
mod file;
mod json;
mod text;
mod writer;

use std::io::IsTerminal;
use std::str::FromStr;

use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::Subscriber;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt as lines;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::traces::is_ours;
use crate::{Config, Error};
use writer::Writing;

type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// A checked filter, in the syntax of `tracing_subscriber::EnvFilter`.
#[derive(Debug, Clone)]
pub struct Filter(String);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let directives: Vec<_> = text.split(',').map(with_known_level).collect();
        let text = directives.join(",");
        // As the name of a module it would silence everything else.
        let is_word = text.bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_word && !text.is_empty() && LevelFilter::from_str(&text).is_err() {
            return Err(
                "expected trace, debug, info, warn, error, off, or levels of modules such as `info,sqlx=debug`".into(),
            );
        }
        EnvFilter::try_new(&text).map_err(|error| error.to_string())?;
        Ok(Self(text))
    }
}

/// A directive with its level by our name, in place of one that other systems of logs have for it. A
/// word that is no level would be the name of a module, and nothing else would be logged.
fn with_known_level(directive: &str) -> String {
    let (target, level) = match directive.rsplit_once('=') {
        Some((target, level)) => (format!("{target}="), level),
        None => (String::new(), directive),
    };
    let level = match level.trim().to_ascii_lowercase().as_str() {
        "warning" => "warn",
        "critical" | "fatal" => "error",
        "notset" => "trace",
        "none" => "off",
        "information" => "info",
        _ => level,
    };
    format!("{target}{level}")
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
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected auto, text or json".into()),
        }
    }
}

/// Threads that write lines. They write what is left when this is dropped.
#[must_use = "lines that are not written yet are lost unless it is kept until the end"]
pub(crate) struct Writers {
    _stderr: Writing,
    _file: Option<WorkerGuard>,
}

/// Writes lines to standard error, to a file where one is set, and to `exporter`.
pub(crate) fn layers<S>(
    config: &Config,
    exporter: Option<&SdkLoggerProvider>,
) -> Result<(Vec<BoxedLayer<S>>, Writers), Error>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let terminal = std::io::stderr().is_terminal();
    let is_text = match config.log_format {
        Format::Json => false,
        Format::Auto => terminal,
        Format::Text => true,
    };
    let started = writer::to(std::io::stderr(), |lost| {
        tracing::warn!(lost, "log lines were lost: whoever reads standard error is too slow");
    });
    let (stderr, writing) = started.map_err(|error| Error::LogThread(error.to_string()))?;
    let mut layers = vec![lines_to(config, stderr, is_text, terminal)];
    let mut writers = Writers {
        _stderr: writing,
        _file: None,
    };
    if let Some(path) = &config.log_file {
        let opened = file::open(path, config.log_file_max_size, config.log_file_keep);
        let (writer, writing) = opened.map_err(|error| Error::LogFile(format!("{}: {error}", path.display())))?;
        layers.push(lines_to(config, writer, config.log_format == Format::Text, false));
        writers._file = Some(writing);
    }
    if let Some(exporter) = exporter {
        // What the exporter and its connection log would be exported, and logged again.
        let own = filter_fn(|metadata| {
            let of_exporter = ["opentelemetry", "h2", "hyper", "tonic", "tower"];
            !of_exporter.iter().any(|library| metadata.target().starts_with(library))
        });
        let records = export::Records::new(exporter).with_filter(filter(config).and(own));
        layers.push(records.boxed());
    }
    Ok((layers, writers))
}

fn lines_to<S, W>(config: &Config, writer: W, is_text: bool, has_colours: bool) -> BoxedLayer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = lines::layer().with_writer(writer);
    let filter = filter(config);
    match is_text {
        true => layer
            .with_ansi(has_colours)
            .fmt_fields(text::Fields)
            .event_format(text::Text(SystemTime))
            .with_filter(filter)
            .boxed(),
        false => layer
            .fmt_fields(JsonFields::new())
            .event_format(json::Traced)
            .with_filter(filter)
            .boxed(),
    }
}

/// What is logged. A line that is written carries the fields of its request, however strict the setting
/// is.
fn filter<S>(config: &Config) -> impl layer::Filter<S> + use<S> {
    let spans = filter_fn(|metadata| metadata.is_span() && is_ours(metadata));
    let text = &config.log_filter.0;
    // Without directives about spans, which few people write, nothing has to be kept of each span.
    let lines: Box<dyn layer::Filter<S> + Send + Sync> = match targets(text) {
        Some(targets) => Box::new(targets),
        None => Box::new(EnvFilter::new(text)),
    };
    lines.or(spans.with_max_level_hint(LevelFilter::INFO))
}

/// The filter, where it is about nothing but targets and levels. What is left empty in it means something
/// else there.
fn targets(text: &str) -> Option<Targets> {
    let is_plain = |directive: &str| !directive.trim().is_empty() && !directive.trim().ends_with('=');
    let is_about_targets = !text.contains('[') && text.split(',').all(is_plain);
    is_about_targets.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_in_any_case_and_by_the_names_of_other_systems() {
        for (text, expected) in [
            ("WARNING", "warn"),
            ("Critical", "error"),
            ("INFO", "INFO"),
            (
                "info,sqlx=WARNING,quartet_gateway=debug",
                "info,sqlx=warn,quartet_gateway=debug",
            ),
            ("quartet_auth", "quartet_auth"),
        ] {
            assert_eq!(text.parse::<Filter>().unwrap().0, expected, "{text}");
        }
        // One word that is neither would silence all modules but one that is not there.
        assert!("verbose".parse::<Filter>().unwrap_err().contains("info"));
        assert_eq!("JSON".parse(), Ok(Format::Json));
    }

    #[test]
    fn only_what_means_the_same_is_taken_for_a_filter_of_targets() {
        for plain in ["info", "info,sqlx=warn", "off,quartet_todos=debug"] {
            assert!(targets(plain).is_some(), "{plain}");
        }
        for other in [
            "info,",
            "sqlx=",
            "info,,sqlx=warn",
            "quartet_todos[{user_id}]=debug",
            "[request]=trace",
        ] {
            assert!(targets(other).is_none(), "{other}");
        }
    }
}
