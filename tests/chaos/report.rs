//! What a run prints.

use std::time::Duration;

use crate::checks;
use crate::findings::Findings;
use crate::run::Falls;
use crate::schedule::Deed;
use crate::stage::Stage;
use crate::tally::Counts;

/// The account of a run.
#[derive(Default)]
pub struct Account {
    /// What decided the schedule.
    pub seed: u64,
    /// Its length.
    pub rounds: usize,
    /// What was done.
    pub falls: Falls,
    /// What was asked.
    pub counts: Counts,
    /// What was going on.
    pub checked: checks::Account,
    /// Deletions whose answer was lost, and that had to be asked for again.
    pub unfinished: usize,
    /// How long it took until nothing was under way.
    pub drained: Duration,
    /// How long all of it took.
    pub took: Duration,
}

impl Account {
    /// Prints everything.
    pub fn print(&self, stage: &Stage, findings: &Findings) {
        println!(
            "chaos {}: SEED={} ROUNDS={}, {:.0?}",
            stage.name, self.seed, self.rounds, self.took
        );
        for deed in [Deed::Kill, Deed::Freeze, Deed::Restart] {
            let of_deed: Vec<_> = self.falls.iter().filter(|((done, _), _)| *done == deed).collect();
            let parts: Vec<String> = of_deed
                .iter()
                .map(|((_, part), count)| format!("{part} {count}"))
                .collect();
            let sum: usize = of_deed.iter().map(|(_, count)| **count).sum();
            println!("  {sum:6}  {deed}s ({})", parts.join(", "));
        }
        let Counts {
            requests,
            acknowledged,
            unanswered,
            refused,
            ..
        } = &self.counts;
        println!(
            "  {requests:6}  requests: {acknowledged} acknowledged (2xx), {unanswered} unanswered or 5xx, refused {refused:?}"
        );
        println!(
            "  {:6}  deletions without an answer had not been begun, and were asked for again",
            self.unfinished
        );
        let checks::Account {
            traffic,
            worked,
            mailed_twice,
        } = &self.checked;
        let tasks: usize = worked.tasks.values().sum();
        println!(
            "  {tasks:6}  tasks: {:?}, with {} attempts",
            worked.tasks, worked.attempts
        );
        println!("  {mailed_twice:6}  mails were made and sent twice");
        let said: usize = traffic.said.values().sum();
        println!("  {said:6}  messages: {:?}", traffic.said);
        let copies = stage
            .logs()
            .matches("a copy of a message that has taken effect is passed over")
            .count();
        println!(
            "  {copies:6}  duplicates were delivered and absorbed, of {} deliveries due",
            traffic.heard
        );
        println!("  all quiet {:.1?} after the last fall", self.drained);
        print!("{}", findings.text());
    }
}
