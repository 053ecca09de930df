//! A running suite, in one of its three topologies.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use quartet_config::Source;
use quartet_testkit::{database, rabbitmq};
use tokio::sync::OnceCell;

use crate::process::{Folder, Process, free_address};
use crate::programs;
use crate::vault::Vault;

/// The secret that the services of every tested suite share.
pub const SERVICE_SECRET: &str = "the secret of service tokens in tests";
/// The user name and the password of the first superuser.
pub const ROOT: (&str, &str) = ("root", "a superuser of the tests");
/// Bound on the start of a suite; generous, since many may start at once on few cores.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// The packages of the services.
pub const SERVICES: [&str; 4] = ["auth", "users", "todos", "jobs"];
/// The programs of a suite of separate processes.
pub const PROGRAMS: [&str; 5] = ["auth", "users", "todos", "jobs", "gateway"];

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
    /// What its processes prove themselves with, where they do.
    vault: Option<Vault>,
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
        Self::start_once(&SUITE, || Self::start_separate(None, false, &[]))
    }

    /// The same, where processes prove themselves by mutual TLS and by keys of their own.
    pub fn secured() -> &'static Self {
        static SUITE: OnceLock<Option<Suite>> = OnceLock::new();
        Self::start_once(&SUITE, || Self::start_secured(&[]))
    }

    /// The running system that the settings describe, which no test starts or stops. Tests take
    /// turns at its addresses.
    pub fn composed() -> &'static Self {
        static SUITES: OnceLock<Vec<Suite>> = OnceLock::new();
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let suites = SUITES.get_or_init(Self::described);
        &suites[NEXT.fetch_add(1, Ordering::Relaxed) % suites.len()]
    }

    /// A suite for each address in `QUARTET_URL`. Like those of the programs, these settings come
    /// from the environment and from files of secrets.
    fn described() -> Vec<Self> {
        let source = Source::load().expect("the settings are readable");
        let setting = |name: &str| {
            let value = source.raw(name);
            value.unwrap_or_else(|| panic!("{name} is not set; docs/testing.md lists what describes a running system"))
        };
        let address = |url: &str| {
            let address = url.trim().trim_end_matches('/').strip_prefix("http://");
            address
                .unwrap_or_else(|| panic!("expected http://host:port, not {url}"))
                .to_owned()
        };
        let suite = |url: &str| {
            let settings = ["SERVICE_TOKEN_SECRET", "ADMIN_USERNAME", "ADMIN_PASSWORD", "MAIL_DIR"];
            Self {
                http: address(url),
                grpc: SERVICES
                    .map(|service| {
                        (
                            service,
                            address(setting(&format!("{}_URL", service.to_ascii_uppercase()))),
                        )
                    })
                    .into(),
                processes: Mutex::default(),
                settings: settings.map(|name| (name.into(), setting(name).into())).into(),
                metrics: BTreeMap::new(),
                folder: Folder::new(),
                vault: None,
                root_token: OnceCell::new(),
            }
        };
        setting("QUARTET_URL").split(',').map(suite).collect()
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
            vault: None,
            root_token: OnceCell::new(),
        };
        suite.start(&["quartet"]);
        suite.create_superuser();
        suite
    }

    /// A suite of separate processes on PostgreSQL for one test, with further settings. Call it
    /// outside of async code.
    pub fn start_distributed(further: &[(&str, &str)]) -> Self {
        Self::start_separate(None, false, further)
    }

    /// The same, where processes prove themselves by mutual TLS and by keys of their own.
    pub fn start_secured(further: &[(&str, &str)]) -> Self {
        Self::start_separate(None, true, further)
    }

    /// A suite of separate processes for one test, with two instances of a service.
    pub fn start_with_two(service: &'static str) -> Self {
        let start = move || Self::start_separate(Some(service), false, &[]);
        std::thread::spawn(start).join().expect("the suite starts")
    }

    fn start_separate(twice: Option<&'static str>, secured: bool, further: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let vault = secured.then(|| Vault::new(folder.path(), &PROGRAMS));
        let scheme = if secured { "https" } else { "http" };
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
        let (mut grpc, mut second_address) = (BTreeMap::new(), None);
        for service in SERVICES {
            let address = free_address();
            let name = service.to_ascii_uppercase();
            let database = runtime.block_on(database::postgres());
            settings.insert(format!("{name}_DATABASE_URL"), database.setting());
            settings.insert(format!("{name}_GRPC_ADDRESS"), address.clone());
            let second = (twice == Some(service)).then(free_address);
            let url = match &second {
                None => format!("{scheme}://{address}"),
                Some(second) => format!("{scheme}://{address},{scheme}://{second}"),
            };
            settings.insert(format!("{name}_URL"), url);
            grpc.insert(service, address);
            second_address = second.or(second_address);
        }
        settings.extend(further.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let suite = Self {
            http,
            grpc,
            processes: Mutex::default(),
            settings,
            metrics: PROGRAMS.map(|program| (program, free_address())).into(),
            folder,
            vault,
            root_token: OnceCell::new(),
        };
        suite.start(&PROGRAMS);
        if let (Some(service), Some(address)) = (twice, second_address) {
            suite.start_second(service, address);
        }
        suite.create_superuser();
        suite
    }

    fn start_second(&self, service: &str, address: String) {
        let mut settings = self.settings.clone();
        settings.insert(
            format!("{}_GRPC_ADDRESS", service.to_ascii_uppercase()),
            address.clone(),
        );
        let settings: Vec<_> = settings.into_iter().collect();
        self.processes()
            .push(Process::start(service, self.folder.path(), &settings));
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(&address).is_err() {
            assert!(
                Instant::now() < deadline,
                "the second {service} is not up\n{}",
                self.log_tails()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Takes the instance of `service` that was started last out of the suite, to be killed or
    /// stopped.
    pub fn take_instance(&self, service: &str) -> Process {
        let mut processes = self.processes();
        let last = processes.iter().rposition(|process| process.name() == service);
        processes.remove(last.expect("an instance runs"))
    }

    /// Starts these programs and waits until the suite is ready.
    fn start(&self, programs: &[&str]) {
        let started = programs.iter().map(|name| {
            let mut settings: Vec<_> = self.settings.clone().into_iter().collect();
            settings.extend(self.vault.iter().flat_map(|vault| vault.settings(name)));
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

    /// Starts one more gateway, with further settings, and returns its address.
    pub fn spawn_gateway(&self, further: &[(&str, &str)]) -> String {
        let http = free_address();
        let mut settings = self.settings.clone();
        settings.extend(further.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        settings.insert("HTTP_ADDRESS".into(), http.clone());
        let settings: Vec<_> = settings.into_iter().collect();
        let program = programs::path("gateway").into_os_string();
        let process = Process::spawn("gateway-2", &[program], self.folder.path(), &settings);
        self.processes().push(process);
        http
    }

    /// As [`Suite::spawn_gateway`], and waits until it is ready.
    pub fn add_gateway(&self, further: &[(&str, &str)]) -> String {
        let http = self.spawn_gateway(further);
        let deadline = Instant::now() + START_TIMEOUT;
        while !is_ready(&http) {
            assert!(
                Instant::now() < deadline,
                "the gateway is not ready\n{}",
                self.log_tails()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        http
    }

    fn is_ready(&self) -> bool {
        is_ready(&self.http)
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

    /// Ends `program` by SIGTERM and starts it again, on the same port; returns once the suite is
    /// ready.
    pub fn replace(&self, program: &'static str) {
        let status = self.take_instance(program).terminate();
        assert!(status.success(), "{program}: {status}");
        self.start(&[program]);
    }

    /// Starts its programs again, on the same data and ports.
    pub fn restart(&self) {
        let programs: Vec<_> = self.metrics.keys().copied().collect();
        self.start(&programs);
    }

    /// Like [`Suite::restart`], with further settings.
    pub fn restart_with(&mut self, further: &[(&str, &str)]) {
        self.settings
            .extend(further.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        self.restart();
    }

    /// The URL of a service's database; of separate processes alone.
    pub fn database(&self, service: &str) -> &str {
        &self.settings[&format!("{}_DATABASE_URL", service.to_ascii_uppercase())]
    }

    /// The folder that the programs run in.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What its processes prove themselves with; of a secured suite alone.
    pub fn vault(&self) -> &Vault {
        self.vault.as_ref().expect("the suite is secured")
    }

    pub(crate) fn is_secured(&self) -> bool {
        self.vault.is_some()
    }

    /// The folder that mails are written to.
    pub fn mail_folder(&self) -> PathBuf {
        self.folder.path().join(&self.settings["MAIL_DIR"])
    }

    /// The secret that the services share.
    pub(crate) fn service_secret(&self) -> &str {
        &self.settings["SERVICE_TOKEN_SECRET"]
    }

    /// The user name and the password of the first superuser.
    pub fn root(&self) -> (&str, &str) {
        let setting = |name, default| self.settings.get(name).map_or(default, String::as_str);
        (setting("ADMIN_USERNAME", ROOT.0), setting("ADMIN_PASSWORD", ROOT.1))
    }

    /// Address of the metrics of the process that runs `service` or the gateway.
    pub fn metrics(&self, service: &str) -> &str {
        let program = self.metrics.get(service).or(self.metrics.get("quartet"));
        program.expect("a program of that name")
    }

    /// Resident memory of all processes, in bytes.
    pub fn memory(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most resident memory that the processes had since [`Suite::reset_peak`], in bytes.
    pub fn peak_memory(&self) -> usize {
        self.status("VmHWM:")
    }

    /// Forgets the most resident memory that the processes had (proc(5), `clear_refs`).
    pub fn reset_peak(&self) -> std::io::Result<()> {
        let reset = |process: &Process| std::fs::write(format!("/proc/{}/clear_refs", process.id()), "5");
        self.processes().iter().try_for_each(reset)
    }

    fn status(&self, field: &str) -> usize {
        let of = |process: &Process| -> Option<usize> {
            let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? << 10)
        };
        self.processes().iter().filter_map(of).sum()
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

/// Whether the gateway at `http` and all services behind it are ready.
fn is_ready(http: &str) -> bool {
    let status = TcpStream::connect(http).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).map(|()| status)
    });
    status.is_ok_and(|status| status.ends_with(b" 200"))
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
        // All clients of a test are at one address.
        ("HASHING_QUEUE_PER_ADDRESS", "1000"),
        ("LOGIN_FREE_ATTEMPTS_PER_ADDRESS", "1000"),
        // Tests of many users compete for few cores.
        ("REQUEST_TIMEOUT", "30s"),
        ("DATABASE_ACQUIRE_TIMEOUT", "20s"),
        ("DATABASE_STATEMENT_TIMEOUT", "20s"),
        // Tests register hundreds of users from one address; those of limits turn them on.
        ("RATE_LIMIT_ENABLED", "false"),
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
