//! A program that runs during a test.

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

/// A shell that starts the program, prints its id, and kills it when this test process ends,
/// however it ends: the pipe to the shell closes with the process that holds its other end.
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
    /// Starts the program `name` in `folder`, which also gets its log, with these settings only.
    pub fn start(name: &str, folder: &Path, settings: &[(String, String)]) -> Self {
        Self::spawn(name, &[programs::path(name).into_os_string()], folder, settings)
    }

    /// Like [`Process::start`], with any command; its log has the name `name`.
    pub fn spawn(name: &str, command: &[OsString], folder: &Path, settings: &[(String, String)]) -> Self {
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
            .expect("the shell prints the id");
        Self {
            name: name.to_owned(),
            shell,
            id: line.trim().parse().expect("an id"),
            log,
        }
    }

    /// The name of the program.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the program.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Kills the program (`kill -9`), as the kernel does when memory runs out.
    pub fn kill(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }

    /// Sends SIGTERM, as a service manager does, and waits for the exit.
    pub fn terminate(&mut self) -> ExitStatus {
        let status = Command::new("kill")
            .args(["-TERM", &self.id.to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "{} had exited before", self.name);
        // Not `wait`, which closes the pipe first, so that the guard would kill the program.
        let signalled_at = Instant::now();
        loop {
            if let Some(status) = self.shell.try_wait().expect("the shell has a status") {
                return status;
            }
            assert!(
                signalled_at.elapsed() < Duration::from_secs(30),
                "{} does not stop",
                self.name
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the program is running.
    pub fn is_running(&mut self) -> bool {
        self.shell.try_wait().expect("the shell has a status").is_none()
    }

    /// The log of the program.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last warnings and errors of the log, and lines that are no log entries, to find the
    /// cause of a failure.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let matters = |line: &&str| !line.contains(r#""level":"INFO""#) && !line.contains(r#""level":"DEBUG""#);
        let lines: Vec<&str> = log.lines().filter(matters).collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        format!("--- last warnings of {}:\n{tail}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A temporary folder that is removed when this process ends, however it ends. Suites outlive every
/// test, so nothing within this process could remove theirs.
pub struct Folder {
    path: PathBuf,
    _remover: Child,
}

impl Folder {
    /// A new folder.
    pub fn new() -> Self {
        let path = TempDir::with_prefix("quartet-test-")
            .expect("a temporary folder")
            .keep();
        let remover = Command::new("sh")
            // The programs in it are killed at the same time; this gives them time to exit.
            .args(["-c", r#"read -r _; sleep 1; rm -rf "$0""#])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("sh runs");
        Self {
            path,
            _remover: remover,
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

/// An unused address of the loopback interface. Its port is below those that the system gives to
/// outgoing connections, which could take the port of a suite that is restarting.
pub fn free_address() -> String {
    // Tests that start suites at once must not get the same port before one of them listens.
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
