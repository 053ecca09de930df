//! `quartet messages`.

use anyhow::{bail, ensure};
use quartet_clock::Clock;
use quartet_messaging::{Broker, Queue};
use uuid::Uuid;

use crate::settings::Settings;
use crate::{broker, data_folder};

/// Dead letters of one page.
const PAGE: u32 = 1_000;

/// What to do with the messages.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print the state of every queue.
    Queues,
    /// Print the dead letters, the oldest first, with the last error of their consumer.
    Dead {
        /// Only those of this queue.
        #[arg(long)]
        queue: Option<String>,
    },
    /// Return dead letters to their queue, with new attempts.
    Replay {
        /// The queue of the dead letters.
        #[arg(long)]
        queue: String,
        /// The messages.
        #[arg(required_unless_present = "all")]
        ids: Vec<Uuid>,
        /// Every dead letter of the queue.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Stop the delivery of a queue's messages, in every process, until `resume`.
    Pause {
        /// The queue.
        queue: String,
    },
    /// Deliver the messages of a queue again.
    Resume {
        /// The queue.
        queue: String,
    },
}

pub(crate) async fn run(settings: &Settings, command: &Command) -> anyhow::Result<()> {
    data_folder::create(&settings.own.data_dir)?;
    let broker = broker::open(settings, Clock::system()).await?;
    let broker = broker.as_ref();
    match command {
        Command::Queues => print_queues(broker).await,
        Command::Dead { queue: Some(queue) } => print_dead(broker, checked_name(queue)?).await,
        Command::Dead { queue: None } => {
            for queue in queues() {
                print_dead(broker, &queue.name).await?;
            }
            Ok(())
        }
        Command::Replay { queue, ids, all } => replay(broker, checked_name(queue)?, ids, *all).await,
        Command::Pause { queue } => Ok(broker.pause(checked_name(queue)?).await?),
        Command::Resume { queue } => Ok(broker.resume(checked_name(queue)?).await?),
    }
}

/// Every queue of the suite.
fn queues() -> Vec<Queue> {
    let mut queues = Queue::of_every_service();
    queues.extend(quartet_jobs::workers::queues());
    queues
}

/// Checks the name of a queue, since a broker accepts any name and finds nothing there.
fn checked_name(name: &str) -> anyhow::Result<&str> {
    let queues = queues();
    if queues.iter().any(|queue| queue.name == name) {
        return Ok(name);
    }
    let names: Vec<_> = queues.into_iter().map(|queue| queue.name).collect();
    bail!("there is no queue `{name}`; there are {}", names.join(", "))
}

pub(super) async fn print_queues(broker: &dyn Broker) -> anyhow::Result<()> {
    println!(
        "{:<16} {:>9} {:>9} {:>6} {:>10}",
        "queue", "ready", "delayed", "dead", "consumers"
    );
    for queue in queues() {
        // A queue that no service has declared yet is empty.
        let Some(stats) = broker.queue_stats(&queue.name).await? else {
            println!("{:<16} not declared yet", queue.name);
            continue;
        };
        let paused = if stats.paused { "  paused" } else { "" };
        println!(
            "{:<16} {:>9} {:>9} {:>6} {:>10}{paused}",
            queue.name, stats.ready, stats.delayed, stats.dead, stats.consumers
        );
    }
    Ok(())
}

async fn print_dead(broker: &dyn Broker, queue: &str) -> anyhow::Result<()> {
    for letter in broker.dead_letters(queue, PAGE).await? {
        let message = &letter.message;
        let since = letter.dead_since.map(|at| format!(" since {at}")).unwrap_or_default();
        println!(
            "{queue} {} {} of {} after {} retries{since}: {}",
            message.id, message.kind, message.subject, letter.retries, letter.reason
        );
    }
    Ok(())
}

async fn replay(broker: &dyn Broker, queue: &str, ids: &[Uuid], all: bool) -> anyhow::Result<()> {
    let mut replayed = 0;
    if all {
        // Only those that are dead now: one that dies again is not replayed forever.
        let mut left = broker.queue_stats(queue).await?.map_or(0, |stats| stats.dead);
        while left > 0 {
            let letters = broker
                .dead_letters(queue, PAGE.min(u32::try_from(left).unwrap_or(PAGE)))
                .await?;
            if letters.is_empty() {
                break;
            }
            for letter in letters {
                replayed += usize::from(broker.replay(queue, letter.message.id).await?);
                left -= 1;
            }
        }
    }
    for id in ids {
        ensure!(
            broker.replay(queue, *id).await?,
            "{queue} has no dead letter {id}; {replayed} were replayed before it"
        );
        replayed += 1;
    }
    println!("{replayed} replayed");
    Ok(())
}
