//! What can be asked of `quartet`.

use clap::{Parser, Subcommand};

use crate::commands::{config, migrate};
use crate::serve;
use crate::settings::Settings;

/// The suite of auth, users and todos services behind an HTTP gateway: all of it in one process, and its administration.
///
/// Without a command, `quartet` serves. Settings come from `.env`, `.env.{ENVIRONMENT}`, the environment and files of secrets, in that
/// order, the later one winning; `quartet config` prints the effective ones, and `.env.example` documents each.
#[derive(Parser)]
#[command(
    name = "quartet",
    version,
    after_help = "Examples:
  quartet                                   serve, with data in ./data
  HTTP_ADDRESS=0.0.0.0:80 quartet           serve elsewhere
  quartet migrate status                    see where every store stands
  quartet config                            print the effective settings"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the whole suite in this process (the default).
    Serve,
    /// Print the effective settings, with the layer that set each and with secrets hidden.
    Config(config::Args),
    /// Migrate the stores, or see where they stand.
    #[command(subcommand)]
    Migrate(migrate::Command),
}

impl Cli {
    /// Does what was asked.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let settings = Settings::load()?;
        match self.command {
            None | Some(Command::Serve) => serve::run(settings).await,
            Some(Command::Config(args)) => config::run(&settings, &args),
            Some(Command::Migrate(command)) => migrate::run(&settings, &command).await,
        }
    }
}
