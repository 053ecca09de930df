//! `quartet migrate`.

use anyhow::Context as _;
use quartet_store::Database;

use crate::data_folder;
use crate::settings::Settings;

/// Which way to migrate.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Apply the pending migrations.
    Up {
        /// Only this service's store.
        #[arg(long, value_parser = SERVICES)]
        service: Option<String>,
    },
    /// Revert the newest migration of one service. The data in its tables is lost.
    Down {
        /// The service.
        #[arg(long, value_parser = SERVICES)]
        service: String,
    },
    /// Print the migrations of every store.
    Status,
}

const SERVICES: [&str; 4] = ["auth", "users", "todos", "jobs"];

pub(crate) async fn run(settings: &Settings, command: &Command) -> anyhow::Result<()> {
    data_folder::create(&settings.own.data_dir)?;
    for (service, url, migrations) in settings.stores() {
        let only = match command {
            Command::Up { service } => service.as_deref(),
            Command::Down { service } => Some(service.as_str()),
            Command::Status => None,
        };
        if only.is_some_and(|only| only != service) {
            continue;
        }
        let store = &settings.todos.store;
        let database = Database::open(url, store)
            .await
            .with_context(|| format!("opening the store of {service}"))?;
        match command {
            Command::Up { .. } => migrations.up(&database).await?,
            Command::Down { .. } => match migrations.down(&database).await? {
                Some(reverted) => println!("{service}: reverted {:04} {}", reverted.version, reverted.description),
                None => println!("{service}: nothing to revert"),
            },
            Command::Status => {}
        }
        for migration in migrations.status(&database).await? {
            let state = if migration.applied { "applied" } else { "pending" };
            println!("{service}: {:04} {} {state}", migration.version, migration.description);
        }
        database.close().await;
    }
    Ok(())
}
