//! `quartet status`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_jobs::notifier::JobNotifier;
use quartet_kernel::Deadline;
use quartet_messaging::{Publisher, outbox};
use quartet_store::database::DatabaseUrl;
use quartet_store::{Context, Database};
use quartet_telemetry::build_info;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{health, messages};
use crate::broker;
use crate::settings::Settings;

/// Bound on each question.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Whom to ask.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The gateway, `http://host:port`; by default HEALTH_ADDRESS.
    address: Option<String>,
}

/// What `/health` answers.
#[derive(Deserialize)]
struct Health {
    status: String,
    version: Option<String>,
    #[serde(default)]
    checks: BTreeMap<String, String>,
}

/// Prints one screen. What cannot be read is printed as such, and the rest all the same.
pub(crate) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    let address = args.address.as_ref().unwrap_or(&settings.own.health_address);
    println!("quartet {}", build_info::text());
    println!("{address:<28} {}", gateway(address).await);
    let clock = Clock::system();
    let mut jobs = None;
    println!(
        "\n{:<10} {:<24} {:>9} {:>12}",
        "store", "migrations", "unsent", "oldest"
    );
    for (service, url, migrations) in settings.stores() {
        // Opening a file that is missing would make it.
        if let DatabaseUrl::Sqlite(path) = url
            && !Path::new(path).exists()
        {
            println!("{service:<10} there is no {path}");
            continue;
        }
        let opened = tokio::time::timeout(TIMEOUT, Database::open(url, &settings.store)).await;
        let database = match opened {
            Ok(Ok(database)) => database,
            Ok(Err(error)) => {
                println!("{service:<10} {error}");
                continue;
            }
            Err(_) => {
                println!("{service:<10} does not answer");
                continue;
            }
        };
        let standings = match migrations.status(&database).await {
            Ok(standings) => standings,
            Err(error) => {
                println!("{service:<10} {error}");
                continue;
            }
        };
        let pending = standings.iter().filter(|standing| !standing.applied).count();
        let applied = match pending {
            0 => format!("{}, up to date", standings.len()),
            pending => format!("{}, {pending} pending", standings.len() - pending),
        };
        match outbox::lag(&database).await {
            Ok(lag) => println!(
                "{service:<10} {applied:<24} {:>9} {:>12}",
                lag.unsent,
                age(lag.oldest, clock.now())
            ),
            Err(error) => println!("{service:<10} {applied:<24} {error}"),
        }
        match service {
            "jobs" => jobs = Some(database),
            _ => database.close().await,
        }
    }
    println!();
    let broker_file = &settings.messaging.local_broker_path;
    if settings.messaging.rabbitmq_url.is_none() && !broker_file.exists() {
        println!("queues: there is no {}", broker_file.display());
        return Ok(());
    }
    match broker::open(settings, clock.clone()).await {
        Ok(broker) => {
            if let Err(error) = messages::print_queues(broker.as_ref()).await {
                println!("queues: {error:#}");
            }
        }
        Err(error) => println!("queues: {error:#}"),
    }
    if let Some(database) = jobs {
        println!();
        if let Err(error) = print_jobs(database, &clock).await {
            println!("jobs: {error}");
        }
    }
    Ok(())
}

/// The state of the gateway and what is behind it, in a line.
async fn gateway(address: &str) -> String {
    let asked = tokio::time::timeout(TIMEOUT, health::get(address, "/health")).await;
    let (status, body) = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return format!("{error:#}"),
        Err(_) => return "does not answer".into(),
    };
    match serde_json::from_slice::<Health>(&body) {
        Ok(health) => {
            let checks: Vec<_> = health
                .checks
                .iter()
                .map(|(name, state)| format!("{name} {state}"))
                .collect();
            let version = health.version.unwrap_or_default();
            format!("{}  version {version}  {}", health.status, checks.join(", "))
        }
        Err(_) => format!("answers {status} to /health: no gateway of the suite"),
    }
}

async fn print_jobs(database: Database, clock: &Clock) -> Result<(), quartet_jobs::Error> {
    let store = quartet_jobs::store::over(database, Publisher::detached(clock.clone()), JobNotifier::new());
    let states = store
        .queue_states(&Context::new(clock, Deadline::after(TIMEOUT)))
        .await?;
    println!(
        "{:<16} {:>9} {:>9} {:>9} {:>6} {:>12}",
        "jobs", "scheduled", "queued", "running", "dead", "oldest"
    );
    for state in states {
        let paused = if state.paused { "  paused" } else { "" };
        println!(
            "{:<16} {:>9} {:>9} {:>9} {:>6} {:>12}{paused}",
            state.queue.name(),
            state.scheduled,
            state.queued,
            state.running,
            state.dead,
            age(state.oldest_queued_at, clock.now())
        );
    }
    Ok(())
}

fn age(since: Option<OffsetDateTime>, now: OffsetDateTime) -> String {
    since.map_or_else(
        || "-".into(),
        |since| format!("{} s", (now - since).whole_seconds().max(0)),
    )
}
