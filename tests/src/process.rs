//! A program of the suite while a test runs.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quartet_clock::Clock;
use tempfile::TempDir;

use crate::programs;

/// A shell that starts the program, tells its id, and ends it when this test does, however that ends: the pipe to the shell closes with the
/// process that holds its other end.
const GUARD: &str = r#"
exec 3<&0
"$@" </dev/null >>"$LOG" 2>&1 3<&- & program=$!
echo $program
{ read -r _ <&3; kill -9 $program 2>/dev/null; } & guard=$!
wait $program; code=$?
kill $guard 2>/dev/null
exit $code
"#;

/// A running program. Killed when dropped.
pub struct Process {
    name: String,
    shell: Child,
    id: u32,
    log: PathBuf,
}

impl Process {
    /// Starts the program `name` in `folder`, where its log goes as well, with nothing but these settings.
    pub fn start(name: &str, folder: &Path, settings: &[(String, String)]) -> Self {
        Self::run(name, &[programs::path(name).into_os_string()], folder, settings)
    }

    /// As [`Process::start`], any command; its log is named for `name`.
    pub fn run(name: &str, command: &[OsString], folder: &Path, settings: &[(String, String)]) -> Self {
        let log = folder.join(format!("{name}.log"));
        let mut shell = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .args(command)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LOG", &log)
            .envs(settings.iter().cloned())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let mut line = String::new();
        let output = shell.stdout.take().expect("stdout is piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the shell tells the id");
        Self {
            name: name.to_owned(),
            shell,
            id: line.trim().parse().expect("an id"),
            log,
        }
    }

    /// The id of the program.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Ends the program at once, as the kernel does when memory is short (`kill -9`).
    pub fn kill(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }

    /// Asks the program to stop, as a service manager does, and waits for its end.
    pub fn terminate(&mut self) -> ExitStatus {
        let status = Command::new("kill")
            .args(["-TERM", &self.id.to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "{} had ended before", self.name);
        // Not `wait`, which closes the pipe first, and so has the guard end what was only asked to.
        let asked_at = Instant::now();
        loop {
            if let Some(status) = self.shell.try_wait().expect("the shell can be asked") {
                return status;
            }
            assert!(
                asked_at.elapsed() < Duration::from_secs(30),
                "{} does not stop",
                self.name
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the program still runs.
    pub fn runs(&mut self) -> bool {
        self.shell.try_wait().expect("the shell can be asked").is_none()
    }

    /// What the program has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last warnings and errors of the log, and lines that are no log entries, for a person who looks for the cause of a failure.
    pub fn tail(&self) -> String {
        let log = self.log();
        let telling = |line: &&str| !line.contains(r#""level":"INFO""#) && !line.contains(r#""level":"DEBUG""#);
        let lines: Vec<&str> = log.lines().filter(telling).collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        format!("--- what {} warned of last:\n{tail}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A folder that goes when this process ends, however it ends; suites outlive every test, so nothing in this process could delete theirs.
pub struct Folder {
    path: PathBuf,
    _keeper: Child,
}

impl Folder {
    /// A new folder.
    pub fn new() -> Self {
        let path = TempDir::with_prefix("quartet-test-")
            .expect("a temporary folder")
            .keep();
        let keeper = Command::new("sh")
            // The programs in it are killed at the same moment; they get the time to end.
            .args(["-c", r#"read -r _; sleep 1; rm -rf "$0""#])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("sh runs");
        Self { path, _keeper: keeper }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

/// An address of the loopback interface that nobody listens on. Its port lies below those that the system gives to outgoing connections:
/// one of these could take the port of a suite that is just starting again.
pub fn free_address() -> String {
    // Tests that start suites at once must not be given the same port before one of them listens.
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let [.., high, low] = Clock::system().new_id().into_bytes();
        let port = 10_000 + u16::from_be_bytes([high, low]) % 10_000;
        let address = format!("127.0.0.1:{port}");
        let is_new = GIVEN.lock().insert(port);
        if is_new && TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}
