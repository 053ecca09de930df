//! Every todo that was created with a webhook was delivered to it, under one id.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::results::Results;
use crate::model::{TodoState, User};
use crate::workload::receiver::Receiver;
use quartet_tests::subscriber::hex_id;

/// How long a delivery may take: an event whose handler failed four times in a row, since its store was
/// away, waits for two minutes in the process that has it, where no count of the broker shows it.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Waits until what was created has been delivered, or until it is too late.
pub(super) async fn wait(receiver: &Receiver, users: &[User]) {
    let begun = Instant::now();
    while begun.elapsed() < TIMEOUT && !undelivered(receiver, users).1.is_empty() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Checks the deliveries. A delivery that comes twice has the same id.
pub(super) fn check(receiver: &Receiver, users: &[User], results: &mut Results) {
    let (created, wrong) = undelivered(receiver, users);
    results.add(
        "created todos were delivered to webhooks, under one id each",
        created,
        &wrong,
    );
}

/// How many todos were created with a webhook, and those that were not delivered once.
fn undelivered(receiver: &Receiver, users: &[User]) -> (usize, Vec<String>) {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (webhook_id, todo) in receiver.received() {
        ids.entry(todo).or_default().insert(webhook_id);
    }
    let hooked = users.iter().filter(|user| user.is_active());
    let hooked = hooked.filter_map(|user| Some((user, user.hooked_since?)));
    let todos = hooked.flat_map(|(user, since)| user.todos.iter().skip(since));
    let created = todos.filter(|todo| !matches!(todo.state, TodoState::CreationUnknown));
    let ids_of_created: Vec<String> = created.filter_map(|todo| todo.state.id().map(hex_id)).collect();
    let wrong = ids_of_created.iter().filter_map(|todo| {
        let count = ids.get(todo).map_or(0, BTreeSet::len);
        (count != 1).then(|| format!("{todo}: {count} ids"))
    });
    let wrong = wrong.collect();
    (ids_of_created.len(), wrong)
}
