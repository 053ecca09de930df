//! Logs of every process, set up in one call: [`start`] at the top of `main`, before anything else is built.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

quartet_config::settings! {
    /// Settings of the logs.
    pub struct Config {
        /// Which lines are logged: a level, or directives as `info,quartet_gateway=debug`.
        log_filter: Filter = "LOG_FILTER" or "info,sqlx=warn,h2=warn,hyper=warn";
        /// How lines look: `text` for people, `json` for machines; `auto` is text on a terminal and JSON elsewhere.
        log_format: Format = "LOG_FORMAT" or "auto";
    }
}

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

/// How log lines look.
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

/// Starts logging to standard error. A second call in one process changes nothing.
pub fn start(config: &Config) {
    let filter = EnvFilter::new(&config.log_filter.0);
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A subscriber that is already in place, as in a test binary, stays.
    let _ = match config.log_format {
        Format::Json => builder.json().flatten_event(true).try_init(),
        Format::Auto if !terminal => builder.json().flatten_event(true).try_init(),
        Format::Auto | Format::Text => builder.with_ansi(terminal).try_init(),
    };
}
