//! One run: a steady load, a schedule of falls, and the verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::findings::Findings;
use crate::ledger::{Departure, Person};
use crate::part::thaw;
use crate::schedule::{Deed, Round};
use crate::stage::Stage;
use crate::tally::Tally;
use crate::{checks, report};

/// Clients at once.
const CLIENTS: u64 = 6;

/// What was done to whom, how often.
pub type Falls = BTreeMap<(Deed, &'static str), usize>;

/// Plays a schedule on a stage, under a load that `seed` decides. Panics, with the logs kept, when anything does not hold; else, what the load wrote.
pub async fn run(stage: &mut Stage, seed: u64, schedule: &[Round]) -> Vec<Person> {
    let rounds = schedule.len();
    println!("\nchaos {}: SEED={seed} ROUNDS={rounds}", stage.name);
    let begun = Instant::now();
    let (tally, stopped) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
    let clients = (1..=CLIENTS).map(|number| {
        let client = Client::new(
            &stage.address,
            seed.wrapping_mul(31).wrapping_add(number),
            tally.clone(),
        );
        let stopped = stopped.clone();
        tokio::spawn(client.run(move || stopped.load(Ordering::SeqCst)))
    });
    let clients: Vec<_> = clients.collect();

    let mut falls = Falls::new();
    let mut failure = None;
    for (number, round) in schedule.iter().enumerate() {
        let acts = round
            .acts
            .iter()
            .map(|act| format!("{} {}", act.deed, stage.parts[act.target].name()));
        println!("  round {}: {}", number + 1, acts.collect::<Vec<_>>().join(", "));
        if let Err(told) = play(stage, round, &mut falls).await {
            failure = Some(format!("round {}: {told}", number + 1));
            break;
        }
    }
    stopped.store(true, Ordering::SeqCst);
    let mut people = Vec::new();
    for client in clients {
        people.extend(client.await.expect("a client ends"));
    }
    let up = match failure {
        Some(failure) => Err(failure),
        None => stage.up().await,
    };
    let mut findings = Findings::default();
    let mut account = report::Account {
        seed,
        rounds,
        falls,
        counts: tally.now(),
        ..Default::default()
    };
    match up {
        Err(told) => findings.none("parts ended by themselves, or do not come up", &[told]),
        Ok(()) => {
            // What was under way when the load stopped ends, or is given up, within the time that a request may take.
            tokio::time::sleep(Duration::from_secs(6)).await;
            account.drained = checks::drain(stage).await;
            let half_gone = checks::half_gone(&stage.books).await;
            let half_gone = half_gone.expect("the stores can be read");
            findings.none("accounts are closed while their users are there", &half_gone);
            account.unfinished = settle(stage, &mut people).await;
            checks::drain(stage).await;
            let caught_up = checks::catch_up(&stage.books, &people).await;
            caught_up.expect("the feeds can be read");
            let checked = checks::all(stage, &people, &mut findings).await;
            account.checked = checked.expect("the stores can be read");
        }
    }
    findings.none("answers were given that must not be", &account.counts.wrong);
    account.took = begun.elapsed();
    account.print(stage, &findings);
    if !findings.all_hold() {
        let logs = stage.keep_logs(seed);
        panic!(
            "not everything holds: SEED={seed} ROUNDS={rounds}, logs in {}\n{}",
            logs.display(),
            findings.text()
        );
    }
    people
}

/// Plays one round.
async fn play(stage: &mut Stage, round: &Round, falls: &mut Falls) -> Result<(), String> {
    let (mut down, mut frozen) = (Vec::new(), Vec::new());
    for act in &round.acts {
        tokio::time::sleep(act.after).await;
        let part = &mut stage.parts[act.target];
        part.check()?;
        part.raise();
        match act.deed {
            Deed::Kill => part.kill(),
            Deed::Restart => part.stop().await,
            Deed::Freeze => frozen.push((Instant::now() + act.down, part.freeze())),
        }
        if act.deed != Deed::Freeze {
            down.push((Instant::now() + act.down, act.target));
        }
        *falls.entry((act.deed, part.name())).or_default() += 1;
    }
    down.sort_unstable();
    frozen.sort_unstable();
    for (until, ids) in frozen {
        tokio::time::sleep_until(until.into()).await;
        thaw(&ids);
    }
    for (until, target) in down {
        tokio::time::sleep_until(until.into()).await;
        stage.parts[target].raise();
    }
    if !round.impatient {
        for part in &mut stage.parts {
            part.up().await?;
        }
    }
    tokio::time::sleep(round.peace).await;
    Ok(())
}

/// Finishes the deletions that were not answered, the way a person does: by asking again, here as the superuser, since one whose session has
/// ended cannot ask. How many had not been begun.
async fn settle(stage: &Stage, people: &mut [Person]) -> usize {
    let root = stage.root().await;
    let mut unfinished = 0;
    for person in people.iter_mut().filter(|person| person.departure == Departure::Unsure) {
        let Some(id) = &person.id else { continue };
        let path = format!("/api/v1/users/{id}");
        let mut deleted = root.delete(&path).await;
        // A connection that a server's fall has broken shows when it is used next: the answer says to try again.
        for _ in 0..20 {
            if deleted.status != 503 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            deleted = root.delete(&path).await;
        }
        match deleted.status {
            204 => unfinished += 1,
            404 => {}
            _ => panic!("the deletion of {id} cannot be finished: {}", deleted.text()),
        }
    }
    unfinished
}
