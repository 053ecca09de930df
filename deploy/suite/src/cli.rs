//! What can be asked of `quartet`.

use clap::{Parser, Subcommand};

use crate::commands::{config, create_superuser, create_tier, import, keys, messages, migrate, seed};
use crate::serve;
use crate::settings::Settings;

/// The suite of auth, users, todos and jobs services behind an HTTP gateway: all of it in one process, and its administration.
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
  quartet create-superuser --username admin --email admin@example.org
  quartet seed --todos 10000                fill it with demo data
  quartet migrate status                    see where every store stands
  quartet messages queues                   see what waits, and what could not take effect
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
    /// Make an account that administers the suite, unless it is there.
    CreateSuperuser(create_superuser::Args),
    /// Make a tier, unless it is there.
    CreateTier(create_tier::Args),
    /// Fill the stores with believable demo data.
    Seed(seed::Args),
    /// Bring in users, tags and todos from a JSON file, skipping what is there.
    Import(import::Args),
    /// Migrate the stores, or see where they stand.
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// List or rotate the keys that sign access tokens.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Look at the queues of messages, and deal with those that could not take effect.
    #[command(subcommand)]
    Messages(messages::Command),
}

impl Cli {
    /// Does what was asked.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let settings = Settings::load()?;
        match self.command {
            None | Some(Command::Serve) => serve::run(settings).await,
            Some(Command::Config(args)) => config::run(&settings, &args),
            Some(Command::CreateSuperuser(args)) => create_superuser::run(&settings, &args).await,
            Some(Command::CreateTier(args)) => create_tier::run(&settings, &args).await,
            Some(Command::Seed(args)) => seed::run(&settings, &args).await,
            Some(Command::Import(args)) => import::run(&settings, &args).await,
            Some(Command::Migrate(command)) => migrate::run(&settings, &command).await,
            Some(Command::Keys(command)) => keys::run(&settings, &command).await,
            Some(Command::Messages(command)) => messages::run(&settings, &command).await,
        }
    }
}
