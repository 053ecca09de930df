//! A node: a process of the suite, or a server that it needs.

use std::ffi::OsString;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use quartet_tests::process::Process;

/// How long a node may take to come up; a broker takes its time on few cores.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a node may take to stop after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How a node is started.
pub struct NodeSpec {
    /// Its name, also of its log.
    pub name: &'static str,
    /// The command.
    pub command: Vec<OsString>,
    /// The folder that it runs in.
    pub folder: PathBuf,
    /// Its environment.
    pub settings: Vec<(String, String)>,
    /// The address that it serves on once it is up.
    pub address: String,
    /// Whether it may exit while it starts, such as a server whose predecessor still holds its
    /// resources; it is then started again.
    pub may_exit_on_start: bool,
}

/// A node, up or down.
pub struct Node {
    spec: NodeSpec,
    process: Option<Process>,
}

impl Node {
    /// A node that is down.
    pub fn new(spec: NodeSpec) -> Self {
        Self { spec, process: None }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Whether it is a program of the suite, not a server that it needs.
    pub fn is_program(&self) -> bool {
        !self.spec.may_exit_on_start
    }

    /// The path of its log.
    pub fn log(&self) -> PathBuf {
        self.spec.folder.join(format!("{}.log", self.spec.name))
    }

    /// Starts it, unless it is running.
    pub fn start(&mut self) {
        if self.process.is_none() {
            let NodeSpec {
                name,
                command,
                folder,
                settings,
                ..
            } = &self.spec;
            self.process = Some(Process::spawn(name, command, folder, settings));
        }
    }

    /// Waits until it serves. The error names a node that exited by itself, or does not come up.
    pub async fn wait_until_up(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            self.check()?;
            self.start();
            if TcpStream::connect(&self.spec.address).is_ok() {
                return Ok(());
            }
            if begun.elapsed() > START_TIMEOUT {
                return Err(format!("{} does not come up\n{}", self.name(), self.log_tail()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Fails if the node exited by itself, which no node may do whatever happens around it.
    pub fn check(&mut self) -> Result<(), String> {
        let exited = self.process.as_mut().is_some_and(|process| !process.is_running());
        if exited && !self.spec.may_exit_on_start {
            return Err(format!("{} exited by itself\n{}", self.name(), self.log_tail()));
        }
        if exited {
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

    /// SIGTERM, and SIGKILL if it does not exit in time.
    pub async fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        signal("TERM", &[process.id()]);
        let begun = Instant::now();
        while process.is_running() && begun.elapsed() < STOP_TIMEOUT {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGSTOP to the process and its children, such as PostgreSQL's process for each connection;
    /// returns their ids, for [`resume`].
    pub fn pause(&self) -> Vec<u32> {
        let Some(process) = &self.process else {
            return Vec::new();
        };
        let paused = process_tree(process.id());
        signal("STOP", &paused);
        paused
    }

    fn log_tail(&self) -> String {
        self.process.as_ref().map(Process::log_tail).unwrap_or_default()
    }
}

/// SIGCONT to paused processes.
pub fn resume(paused: &[u32]) {
    signal("CONT", paused);
}

/// Sends a signal to processes, some of which may have exited.
fn signal(name: &str, ids: &[u32]) {
    let ids = ids.iter().map(u32::to_string);
    let _ = Command::new("kill")
        .arg(format!("-{name}"))
        .args(ids)
        .stderr(std::process::Stdio::null())
        .status();
}

/// A process and its children.
fn process_tree(id: u32) -> Vec<u32> {
    let mut tree = vec![id];
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    tree.extend(entries.filter_map(|entry| child_of(id, &entry.path())));
    tree
}

fn child_of(parent: u32, entry: &Path) -> Option<u32> {
    let id = entry.file_name()?.to_str()?.parse().ok()?;
    let stat = std::fs::read_to_string(entry.join("stat")).ok()?;
    // `id (name) state parent …`; the name may contain any character.
    let (_, rest) = stat.rsplit_once(')')?;
    (rest.split_whitespace().nth(1)?.parse() == Ok(parent)).then_some(id)
}
