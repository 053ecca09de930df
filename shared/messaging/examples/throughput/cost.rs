//! What a run cost, and the table of all.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use crate::servers::Servers;

/// What one run cost, for each message.
#[derive(Clone, Copy)]
struct Cost {
    /// Messages per second.
    rate: f64,
    /// Microseconds of CPU per message, user and system: of this process, of the broker, of the
    /// database.
    cpu: [f64; 3],
}

/// The runs by what they do, each in the order of its first run; the first one is what the others
/// are compared with.
pub(crate) struct Table {
    servers: Servers,
    order: Vec<(String, String)>,
    runs: BTreeMap<(String, String), Vec<Cost>>,
}

impl Table {
    pub(crate) fn new(servers: Servers) -> Self {
        Self {
            servers,
            order: Vec::new(),
            runs: BTreeMap::new(),
        }
    }

    /// Runs something that handles `messages` messages, and records what it cost.
    pub(crate) async fn add(&mut self, what: &str, who: &str, messages: u64, run: impl Future<Output = ()>) {
        let (before, begun) = (self.servers.cpu(), Instant::now());
        run.await;
        let (elapsed, after) = (begun.elapsed(), self.servers.cpu());
        let cost = Cost {
            rate: messages as f64 / elapsed.as_secs_f64(),
            cpu: std::array::from_fn(|index| (after[index] - before[index]).as_secs_f64() * 1e6 / messages as f64),
        };
        eprintln!("  {what}: {who}: {:.0}/s, µs {:.0?}", cost.rate, cost.cpu);
        let key = (what.to_owned(), who.to_owned());
        if !self.order.contains(&key) {
            self.order.push(key.clone());
        }
        self.runs.entry(key).or_default().push(cost);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sections: Vec<&str> = Vec::new();
        for (what, _) in &self.order {
            if !sections.contains(&what.as_str()) {
                sections.push(what);
            }
        }
        for section in sections {
            writeln!(
                f,
                "| {section} | messages/s | of lapin alone | CPU µs/message: this process | the broker | PostgreSQL |"
            )?;
            writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
            let mut rows = self.order.iter().filter(|(what, _)| what == section).peekable();
            let Some(first) = rows.peek().map(|key| self.runs[*key].clone()) else {
                continue;
            };
            for key in rows {
                let runs = &self.runs[key];
                let share = median(
                    runs.iter()
                        .zip(&first)
                        .map(|(ours, bare)| 100.0 * ours.rate / bare.rate),
                );
                let rate = median(runs.iter().map(|run| run.rate));
                let [own, broker, database] =
                    std::array::from_fn(|index| median(runs.iter().map(|run| run.cpu[index])));
                writeln!(
                    f,
                    "| {} | {rate:.0} | {share:.0} % | {own:.0} | {broker:.0} | {database:.0} |",
                    key.1
                )?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
