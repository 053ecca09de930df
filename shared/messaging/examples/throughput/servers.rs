//! The CPU time of this process and of the two servers, where they run on this machine.

use std::process::Command;
use std::time::Duration;

use quartet_store::Database;
use quartet_testkit::database;

/// Where the time of each process is looked up; `None` where the server is on another machine.
pub(crate) struct Servers {
    broker: Option<u32>,
    postmaster: Option<u32>,
}

impl Servers {
    /// The servers that `TEST_RABBITMQ_CTL` and `TEST_POSTGRES_URL` name.
    pub(crate) async fn find() -> Self {
        let broker = std::env::var("TEST_RABBITMQ_CTL").ok().and_then(|ctl| {
            let answer = Command::new(ctl).args(["eval", "os:getpid()."]).output().ok()?;
            String::from_utf8(answer.stdout)
                .ok()?
                .trim()
                .trim_matches('"')
                .parse()
                .ok()
        });
        let Database::Postgres(pool) = database::postgres().await.open().await else {
            unreachable!()
        };
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(pool.pool())
            .await
            .unwrap();
        let postmaster = stat(backend as u32).map(|stat| stat[1] as u32);
        Self { broker, postmaster }
    }

    /// CPU time so far, user and system: of this process, of the broker, of the database.
    pub(crate) fn cpu(&self) -> [Duration; 3] {
        let own = stat(std::process::id()).map_or(0, |stat| stat[11] + stat[12]);
        let broker = self.broker.and_then(stat).map_or(0, |stat| stat[11] + stat[12]);
        let database = self.postmaster.map_or(0, |postmaster| {
            let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
            let stats = processes.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?));
            let alive: u64 = stats
                .filter(|stat| stat[1] == u64::from(postmaster))
                .map(|stat| stat[11] + stat[12])
                .sum();
            // Those that have ended are counted at their parent.
            alive + stat(postmaster).map_or(0, |stat| stat[11..15].iter().sum())
        });
        [own, broker, database].map(|ticks| Duration::from_millis(ticks * 10))
    }
}

/// The numbers of `/proc/<pid>/stat` after the name: at 1 the parent, from 11 on the ticks (of 10
/// ms) of user and system, its own and those of children that have ended. The first one is a letter
/// and counts as 0.
fn stat(pid: u32) -> Option<Vec<u64>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let numbers = stat.rsplit_once(") ")?.1.split_whitespace();
    Some(numbers.map(|text| text.parse().unwrap_or_default()).collect())
}
