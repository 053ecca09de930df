//! What must be true once everything runs again and nothing is under way.

mod accounts;
mod feed;
mod mails;
mod messages;
mod tasks;
mod todos;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::findings::Findings;
use crate::ledger::Person;
use crate::stage::Stage;

pub use accounts::half_gone;
pub use feed::catch_up;
pub use messages::Traffic;
pub use tasks::Worked;

/// How long everything may take to arrive once all is up: a message that found its store away some times waits for minutes.
const PATIENCE: Duration = Duration::from_secs(240);

/// What was going on, beside what was found.
#[derive(Default)]
pub struct Account {
    /// What was said and heard.
    pub traffic: Traffic,
    /// What became of tasks.
    pub worked: Worked,
    /// Mails that came twice.
    pub mailed_twice: usize,
}

/// Waits until nothing is under way any more, or too long for it; how long it took.
pub async fn drain(stage: &Stage) -> Duration {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && !is_quiet(stage).await.unwrap_or(false) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    begun.elapsed()
}

/// Whether every outbox is empty, every consumer has heard everything, every task has ended, and every mail is sent.
async fn is_quiet(stage: &Stage) -> Result<bool, sqlx::Error> {
    Ok(messages::are_through(stage).await?
        && tasks::unfinished(&stage.books).await?.is_empty()
        && mails::unsent(&stage.books).await? == 0)
}

/// Checks everything.
pub async fn all(stage: &Stage, people: &[Person], findings: &mut Findings) -> Result<Account, sqlx::Error> {
    accounts::check(stage, people, findings).await?;
    todos::check(stage, people, findings).await?;
    feed::check(stage, people, findings).await?;
    let worked = tasks::check(stage, people, findings).await?;
    let mailed_twice = mails::check(stage, findings).await?;
    let traffic = messages::check(stage, findings).await?;
    Ok(Account {
        traffic,
        worked,
        mailed_twice,
    })
}

/// How often each id occurs.
fn tally(ids: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for id in ids {
        *tally.entry(id).or_default() += 1;
    }
    tally
}
