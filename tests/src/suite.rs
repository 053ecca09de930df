//! A running suite, in one of its two topologies.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use quartet_testkit::{database, rabbitmq};
use tokio::sync::OnceCell;

use crate::process::{Folder, Process, free_address};
use crate::programs;

/// The secret that the services of every tested suite share.
pub const SERVICE_SECRET: &str = "the secret of service tokens in tests";
/// The user name and the password of the first superuser.
pub const ROOT: (&str, &str) = ("root", "a superuser of the tests");
/// Bound on the start of a suite; generous, since many may start at once on few cores.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// The packages of the services.
pub const SERVICES: [&str; 4] = ["auth", "users", "todos", "jobs"];
/// The programs of a suite of separate processes.
const PROGRAMS: [&str; 5] = ["auth", "users", "todos", "jobs", "gateway"];

/// A running suite. It ends with the process that started it, or when dropped.
pub struct Suite {
    /// Address of the REST interface.
    pub http: String,
    /// Address of each service's gRPC port, by the service's name.
    pub grpc: BTreeMap<&'static str, String>,
    processes: Mutex<Vec<Process>>,
    settings: BTreeMap<String, String>,
    /// Address of the metrics of each program, by its name.
    metrics: BTreeMap<&'static str, String>,
    folder: Folder,
    pub(crate) root_token: OnceCell<String>,
}

impl Suite {
    /// The suite in one process that all tests of this program share.
    pub fn embedded() -> &'static Self {
        static SUITE: OnceLock<Option<Suite>> = OnceLock::new();
        Self::start_once(&SUITE, || Self::start_embedded(&[]))
    }

    /// The suite as separate processes on PostgreSQL that all tests of this program share.
    pub fn distributed() -> &'static Self {
        static SUITE: OnceLock<Option<Suite>> = OnceLock::new();
        Self::start_once(&SUITE, Self::start_distributed)
    }

    /// Starts a suite once, even if it fails. On a thread of its own: a start may run async code,
    /// and a test is inside a runtime already.
    fn start_once(suite: &'static OnceLock<Option<Self>>, start: fn() -> Self) -> &'static Self {
        let started = suite.get_or_init(|| std::thread::spawn(start).join().ok());
        started
            .as_ref()
            .expect("the suite starts; the first test that needs it has the error")
    }

    /// A suite in one process for one test, with further settings.
    pub fn start_embedded(further: &[(&str, &str)]) -> Self {
        let (http, grpc) = (free_address(), free_address());
        let mut settings = shared_settings();
        settings.insert("HTTP_ADDRESS".into(), http.clone());
        settings.insert("GRPC_ADDRESS".into(), grpc.clone());
        settings.extend(further.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let suite = Self {
            http,
            grpc: SERVICES.map(|service| (service, grpc.clone())).into(),
            processes: Mutex::default(),
            settings,
            metrics: [("quartet", free_address())].into(),
            folder: Folder::new(),
            root_token: OnceCell::new(),
        };
        suite.start(&["quartet"]);
        suite.create_superuser();
        suite
    }

    fn start_distributed() -> Self {
        let mut settings = shared_settings();
        let http = free_address();
        settings.insert("HTTP_ADDRESS".into(), http.clone());
        // Without a server, the services' messages wait in their outboxes.
        if let Some(url) = rabbitmq::vhost() {
            settings.insert("RABBITMQ_URL".into(), url);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let mut grpc = BTreeMap::new();
        for service in SERVICES {
            let address = free_address();
            let name = service.to_ascii_uppercase();
            let database = runtime.block_on(database::postgres());
            settings.insert(format!("{name}_DATABASE_URL"), database.setting());
            settings.insert(format!("{name}_GRPC_ADDRESS"), address.clone());
            settings.insert(format!("{name}_URL"), format!("http://{address}"));
            grpc.insert(service, address);
        }
        let suite = Self {
            http,
            grpc,
            processes: Mutex::default(),
            settings,
            metrics: PROGRAMS.map(|program| (program, free_address())).into(),
            folder: Folder::new(),
            root_token: OnceCell::new(),
        };
        suite.start(&PROGRAMS);
        suite.create_superuser();
        suite
    }

    /// Starts these programs and waits until the suite is ready.
    fn start(&self, programs: &[&str]) {
        let started = programs.iter().map(|name| {
            let mut settings: Vec<_> = self.settings.clone().into_iter().collect();
            settings.extend(
                self.metrics
                    .get(name)
                    .map(|address| ("METRICS_ADDRESS".into(), address.clone())),
            );
            Process::start(name, self.folder.path(), &settings)
        });
        self.processes().extend(started);
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.is_ready() {
            let exited = self
                .processes()
                .iter_mut()
                .find_map(|process| (!process.is_running()).then(|| process.log_tail()));
            if let Some(tail) = exited {
                panic!("a program of the suite has exited\n{tail}");
            }
            assert!(
                Instant::now() < deadline,
                "the suite is not ready\n{}",
                self.log_tails()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self) -> bool {
        let status = TcpStream::connect(&self.http).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut status = [0; 12];
            stream.read_exact(&mut status).map(|()| status)
        });
        status.is_ok_and(|status| status.ends_with(b" 200"))
    }

    /// Creates the first superuser, with the command that operators use.
    fn create_superuser(&self) {
        self.command(&[
            "create-superuser",
            "--username",
            ROOT.0,
            "--email",
            "root@example.org",
            "--name",
            "Root",
        ]);
    }

    /// Runs `quartet` with these arguments and the settings of this suite; returns its output.
    pub fn command(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(programs::path("quartet"));
        command.args(arguments).env_clear().env("ADMIN_PASSWORD", ROOT.1);
        let output = self.in_environment(&mut command).output().expect("quartet runs");
        let text = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        assert!(output.status.success(), "quartet {arguments:?}: {text}");
        text
    }

    /// Sets the environment and the working folder of a command to those of this suite.
    pub fn in_environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(&self.settings).current_dir(self.folder.path())
    }

    /// Kills every process (`kill -9`).
    pub fn kill(&self) {
        self.processes().drain(..).for_each(drop);
    }

    /// Sends SIGTERM to every process; returns whether all exited with success.
    pub fn terminate(&self) -> bool {
        self.processes()
            .drain(..)
            .all(|mut process| process.terminate().success())
    }

    /// Starts a suite in one process again, on the same data and ports.
    pub fn restart(&self) {
        self.start(&["quartet"]);
    }

    /// Like [`Suite::restart`], with further settings.
    pub fn restart_with(&mut self, further: &[(&str, &str)]) {
        self.settings
            .extend(further.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        self.restart();
    }

    /// The folder that mails are written to.
    pub fn mail_folder(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// Address of the metrics of the process that runs `service` or the gateway.
    pub fn metrics(&self, service: &str) -> &str {
        let program = self.metrics.get(service).or(self.metrics.get("quartet"));
        program.expect("a program of that name")
    }

    /// The logs of all processes.
    pub fn logs(&self) -> String {
        self.processes().iter().map(Process::log).collect()
    }

    /// The last lines of every log.
    pub fn log_tails(&self) -> String {
        self.processes()
            .iter()
            .map(Process::log_tail)
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn processes(&self) -> MutexGuard<'_, Vec<Process>> {
        self.processes.lock()
    }
}

/// Settings of every program of every tested suite.
pub fn shared_settings() -> BTreeMap<String, String> {
    let settings = [
        ("SERVICE_TOKEN_SECRET", SERVICE_SECRET),
        ("MAIL_DIR", "mail"),
        ("DATA_DIR", "data"),
        // Tests hash hundreds of passwords, none of which needs protection.
        ("ARGON2_MEMORY_KIB", "64"),
        ("ARGON2_ITERATIONS", "1"),
        ("HASHING_QUEUE", "1000"),
        // Tests of many users compete for few cores.
        ("REQUEST_TIMEOUT", "30s"),
        ("DATABASE_ACQUIRE_TIMEOUT", "20s"),
        ("DATABASE_STATEMENT_TIMEOUT", "20s"),
        // Short, for the test that waits until it is over.
        ("REFRESH_REUSE_WINDOW", "2s"),
        ("CORS_ALLOW_ORIGINS", "https://app.example.com"),
        // A line for each call that a service has served, for the test that follows a request
        // through the logs.
        (
            "LOG_FILTER",
            "info,sqlx=warn,h2=warn,hyper=warn,quartet_rpc::served=debug",
        ),
    ];
    settings.map(|(name, value)| (name.into(), value.into())).into()
}
