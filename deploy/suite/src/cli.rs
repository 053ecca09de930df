//! The command line of `quartet`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use quartet_config::Source;

use crate::commands::{
    backup, config, create_superuser, create_tier, health, import, keys, messages, migrate, restore, seed, status,
};
use crate::part::Part;
use crate::serve;
use crate::settings::Settings;

/// The suite of auth, users, todos and jobs services behind an HTTP gateway: all of it in one
/// process, and its administration.
///
/// Without a command, `quartet` serves. Settings come from `.env`, `.env.{ENVIRONMENT}`, the
/// environment and files of secrets; a later source overrides an earlier one. `quartet config`
/// prints the effective values, and `.env.example` documents each setting.
#[derive(Parser)]
#[command(
    name = "quartet",
    version = quartet_telemetry::build_info::text(),
    after_help = "Examples:
  quartet                                   serve, with data in ./data
  quartet serve todos                       serve the todos service alone
  HTTP_ADDRESS=0.0.0.0:80 quartet           serve elsewhere
  quartet create-superuser --username admin --email admin@example.org
  quartet seed --todos 10000                fill it with demo data
  quartet migrate status                    print the migrations of every store
  quartet messages queues                   print the state of every queue
  quartet config                            print the effective settings"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the whole suite in this process (the default), or one part of it alone.
    Serve {
        /// The part.
        part: Option<Part>,
    },
    /// Print the effective settings, with the layer that set each and with secrets hidden.
    Config(config::Args),
    /// Create an account that administers the suite, unless it exists.
    CreateSuperuser(create_superuser::Args),
    /// Create a tier, unless it exists.
    CreateTier(create_tier::Args),
    /// Fill the stores with demo data.
    Seed(seed::Args),
    /// Import users, tags and todos from a JSON file, skipping those that exist.
    Import(import::Args),
    /// Migrate the stores, or print the state of their migrations.
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// List, rotate or revoke the keys that sign access tokens.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Inspect the queues of messages, replay dead letters, pause and resume.
    #[command(subcommand)]
    Messages(messages::Command),
    /// Check that a gateway or a service is ready; the exit code is 0 when it is.
    Health(health::Args),
    /// Print the state of the suite: health, migrations, outboxes, queues and jobs.
    Status(status::Args),
    /// Copy the data of the suite in one process, while it runs.
    Backup(backup::Args),
    /// Put a backup where the settings have the data of the suite.
    Restore(restore::Args),
}

impl Cli {
    /// Runs the command; returns what the process ends with.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(Command::Serve { part: Some(part) }) = self.command {
            return Ok(part.serve().await);
        }
        if let Some(Command::Config(args)) = &self.command {
            return Ok(config::run(Source::load()?, args));
        }
        let settings = Settings::load()?;
        match self.command {
            Some(Command::Health(args)) => health::run(&settings, &args).await,
            Some(Command::Status(args)) => status::run(&settings, &args).await,
            Some(Command::Backup(args)) => backup::run(&settings, &args).await,
            Some(Command::Restore(args)) => restore::run(&settings, &args).await,
            None | Some(Command::Serve { .. } | Command::Config(_)) => serve::run(settings).await,
            Some(Command::CreateSuperuser(args)) => create_superuser::run(&settings, &args).await,
            Some(Command::CreateTier(args)) => create_tier::run(&settings, &args).await,
            Some(Command::Seed(args)) => seed::run(&settings, &args).await,
            Some(Command::Import(args)) => import::run(&settings, &args).await,
            Some(Command::Migrate(command)) => migrate::run(&settings, &command).await,
            Some(Command::Keys(command)) => keys::run(&settings, &command).await,
            Some(Command::Messages(command)) => messages::run(&settings, &command).await,
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
