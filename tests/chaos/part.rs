//! A process of the suite, or a server that it stands on, that is felled and raised again.

use std::ffi::OsString;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use quartet_tests::process::Process;

/// How long a part may take to come up; a broker on few cores takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a part is started.
pub struct Start {
    /// Its name; its log is named for it.
    pub name: &'static str,
    /// The command.
    pub command: Vec<OsString>,
    /// The folder that it runs in.
    pub folder: PathBuf,
    /// The settings that it sees.
    pub settings: Vec<(String, String)>,
    /// The address that it serves on once it is up.
    pub address: String,
    /// Whether it may end by itself while it starts, as a server does whose predecessor is not quite gone; it is then started again.
    pub stumbles: bool,
}

/// A part, up or down.
pub struct Part {
    start: Start,
    process: Option<Process>,
}

impl Part {
    /// A part that is down.
    pub fn new(start: Start) -> Self {
        Self { start, process: None }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.start.name
    }

    /// Where its log is.
    pub fn log(&self) -> PathBuf {
        self.start.folder.join(format!("{}.log", self.start.name))
    }

    /// Starts it, unless it runs.
    pub fn raise(&mut self) {
        if self.process.is_none() {
            let Start {
                name,
                command,
                folder,
                settings,
                ..
            } = &self.start;
            self.process = Some(Process::run(name, command, folder, settings));
        }
    }

    /// Waits until it serves. The error tells of a part that ended by itself, or does not come up.
    pub async fn up(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            self.check()?;
            self.raise();
            if TcpStream::connect(&self.start.address).is_ok() {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} does not come up\n{}", self.name(), self.tail()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The error tells that the part ended by itself, which no part of the suite may do whatever happens around it.
    pub fn check(&mut self) -> Result<(), String> {
        let ended = self.process.as_mut().is_some_and(|process| !process.runs());
        if ended && !self.start.stumbles {
            return Err(format!("{} has ended by itself\n{}", self.name(), self.tail()));
        }
        if ended {
            self.process = None;
        }
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGTERM, and the end of it: SIGKILL for one that takes too long.
    pub async fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        signal("TERM", &[process.id()]);
        let begun = Instant::now();
        while process.runs() && begun.elapsed() < Duration::from_secs(15) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGSTOP to it and all that it has started, as PostgreSQL has a process for each connection; whom to thaw.
    pub fn freeze(&self) -> Vec<u32> {
        let Some(process) = &self.process else {
            return Vec::new();
        };
        let frozen = family(process.id());
        signal("STOP", &frozen);
        frozen
    }

    fn tail(&self) -> String {
        self.process.as_ref().map(Process::tail).unwrap_or_default()
    }
}

/// SIGCONT.
pub fn thaw(frozen: &[u32]) {
    signal("CONT", frozen);
}

/// Sends a signal to processes, of which some may be gone by now.
fn signal(name: &str, ids: &[u32]) {
    let ids = ids.iter().map(u32::to_string);
    let _ = Command::new("kill")
        .arg(format!("-{name}"))
        .args(ids)
        .stderr(std::process::Stdio::null())
        .status();
}

/// A process and its children.
fn family(id: u32) -> Vec<u32> {
    let mut family = vec![id];
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    family.extend(entries.filter_map(|entry| child_of(id, &entry.path())));
    family
}

fn child_of(parent: u32, entry: &Path) -> Option<u32> {
    let id = entry.file_name()?.to_str()?.parse().ok()?;
    let stat = std::fs::read_to_string(entry.join("stat")).ok()?;
    // `id (name) state parent …`; the name may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    (rest.split_whitespace().nth(1)?.parse() == Ok(parent)).then_some(id)
}
