//! A part of a Redis server, and a server of a test's own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The variable with the URL of a Redis server for tests; `make test` sets it.
pub const SERVER: &str = "TEST_REDIS_URL";
/// The variable with the path of the program `redis-server`.
pub const PROGRAM: &str = "TEST_REDIS_SERVER";

/// The URL of the server of [`SERVER`], and a prefix for keys that no other test uses; `None` when
/// that is not set.
pub fn keys() -> Option<(String, String)> {
    #[expect(clippy::disallowed_methods, reason = "a test's server is no setting of the product")]
    let url = std::env::var(SERVER).ok()?;
    #[expect(clippy::disallowed_methods, reason = "a unique name")]
    let prefix = format!("test-{}:", uuid::Uuid::new_v4().simple());
    Some((url, prefix))
}

/// A server of a test's own, to be stopped and killed. Killed when dropped.
pub struct Server {
    port: u16,
    process: Child,
}

impl Server {
    /// Starts a server that keeps everything in memory.
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        Self {
            port,
            process: spawn(port),
        }
    }

    /// The server's URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Kills the server (`kill -9`).
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again, on the same port, with nothing in it.
    pub fn restart(&mut self) {
        self.kill();
        self.process = spawn(self.port);
    }

    /// Stops the server's work (`kill -STOP`): connections stay open, and nothing is answered.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Ends [`Server::freeze`].
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(status.success(), "kill {signal} {id} fails");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(port: u16) -> Child {
    #[expect(clippy::disallowed_methods, reason = "a test's server is no setting of the product")]
    let program = std::env::var(PROGRAM).expect("TEST_REDIS_SERVER is not set; `make test` sets it");
    let process = Command::new(program)
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
        .arg(port.to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts");
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "redis-server does not listen"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    process
}
