//! What must be true once everything runs again and nothing is under way.

mod accounts;
mod feed;
mod messages;
mod todos;

use std::collections::BTreeMap;

use crate::findings::Findings;
use crate::ledger::Person;
use crate::stage::Stage;

pub use accounts::half_gone;
pub use feed::catch_up;
pub use messages::{Traffic, drain};

/// Checks everything.
pub async fn all(stage: &Stage, people: &[Person], findings: &mut Findings) -> Result<Traffic, sqlx::Error> {
    accounts::check(stage, people, findings).await?;
    todos::check(stage, people, findings).await?;
    feed::check(stage, people, findings).await?;
    messages::check(stage, findings).await
}

/// How often each id occurs.
fn tally(ids: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for id in ids {
        *tally.entry(id).or_default() += 1;
    }
    tally
}
