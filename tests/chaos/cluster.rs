//! The cluster under test: a running suite whose nodes can fail, in one of its two topologies.

pub mod balancer;
mod distributed;
mod embedded;
pub mod node;
mod servers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use quartet_messaging::Rabbit;
use quartet_tests::process::Folder;
use quartet_tests::suite::{ROOT, shared_settings};
use quartet_tests::{Rest, programs};
use serde_json::json;

use crate::effect_log;
use crate::stores::Stores;
use crate::workload::REQUEST_TIMEOUT;
use crate::workload::receiver::Receiver;
use node::Node;

/// A running suite.
pub struct Cluster {
    /// The name of its topology.
    pub name: &'static str,
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// How often each node has a fault, relative to the others.
    pub fault_weights: Vec<usize>,
    /// Where webhooks go.
    pub receiver: Receiver,
    /// The databases.
    pub stores: Stores,
    /// Addresses of the gateways.
    pub gateways: Vec<String>,
    /// A REST client without a token.
    pub rest: Rest,
    /// The broker, if it is a server.
    pub rabbit: Option<Rabbit>,
    /// The file of the broker, if it is within the process.
    pub local_broker: Option<PathBuf>,
    settings: BTreeMap<String, String>,
    folder: Folder,
    _servers: distributed::Servers,
}

impl Cluster {
    /// The suite in one process, on SQLite.
    pub async fn embedded() -> Self {
        embedded::build(&[]).await.start().await
    }

    /// The same, where replies are made anew each time, so that what is changed in the store by hand
    /// is read.
    pub async fn embedded_uncached() -> Self {
        embedded::build(&[("CACHE_ENABLED", "false")]).await.start().await
    }

    /// The same, whose gateways are out of the balancing before they stop.
    pub async fn distributed_with_balancer() -> Self {
        distributed::build(&[("SHUTDOWN_DELAY", "1500ms")]).await.start().await
    }

    /// Separate processes on a PostgreSQL server and a RabbitMQ node of their own.
    pub async fn distributed() -> Self {
        distributed::build(&[]).await.start().await
    }

    /// Starts every node, installs the effect logs and creates the first superuser.
    async fn start(mut self) -> Self {
        self.wait_until_ready().await.expect("every node comes up");
        effect_log::install(&self.stores)
            .await
            .expect("the stores accept the triggers");
        self.create_superuser();
        self
    }

    /// Starts what is down, and waits until every node serves and the gateway is ready.
    pub async fn wait_until_ready(&mut self) -> Result<(), String> {
        for node in &mut self.nodes {
            node.start();
        }
        for node in &mut self.nodes {
            node.wait_until_up().await?;
        }
        for gateway in &self.gateways {
            is_ready(gateway).await?;
        }
        Ok(())
    }

    /// A REST client that is signed in as the first superuser.
    pub async fn superuser(&self) -> Rest {
        let body = json!({"username_or_email": ROOT.0, "password": ROOT.1});
        let tokens = self.rest.post("/api/v1/auth/login", body).await.expect(200);
        self.rest.with_token(tokens["access_token"].as_str().expect("a token"))
    }

    /// The folder that mails are written to.
    pub fn mail_folder(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// The logs of all nodes.
    pub fn logs(&self) -> String {
        let logs = self
            .nodes
            .iter()
            .map(|node| std::fs::read_to_string(node.log()).unwrap_or_default());
        logs.collect()
    }

    /// Copies every log to a folder that outlives this run; returns the folder.
    pub fn save_logs(&self, seed: u64) -> PathBuf {
        let saved = programs::project().join(format!("target/chaos/{}-{seed}", self.name));
        std::fs::create_dir_all(&saved).expect("a folder for logs");
        for node in &self.nodes {
            let log = saved.join(format!("{}.log", node.name()));
            let _ = std::fs::copy(node.log(), log);
        }
        saved
    }

    fn create_superuser(&self) {
        let output = Command::new(programs::path("quartet"))
            .args([
                "create-superuser",
                "--username",
                ROOT.0,
                "--email",
                "root@example.org",
                "--name",
                "Root",
            ])
            .env_clear()
            .env("ADMIN_PASSWORD", ROOT.1)
            .envs(&self.settings)
            .current_dir(self.folder.path())
            .output()
            .expect("quartet runs");
        assert!(
            output.status.success(),
            "create-superuser: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Waits until a gateway is ready.
async fn is_ready(gateway: &str) -> Result<(), String> {
    let rest = Rest::new(gateway);
    for _ in 0..600 {
        let probe = rest.call(http::Method::GET, "/readyz").try_send();
        let probe = tokio::time::timeout(REQUEST_TIMEOUT, probe);
        if matches!(probe.await, Ok(Ok(reply)) if reply.status == 200) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!(
        "every node is up, but /readyz of {gateway} does not become 200"
    ))
}

/// Settings of every program: those of all tests, and bounds for nodes that fail every second.
fn settings() -> BTreeMap<String, String> {
    let mut settings = shared_settings();
    let own = [
        ("REQUEST_TIMEOUT", "5s"),
        ("DATABASE_ACQUIRE_TIMEOUT", "3s"),
        ("DATABASE_STATEMENT_TIMEOUT", "5s"),
        ("DATABASE_CONNECT_TIMEOUT", "60s"),
        ("DATABASE_POOL_SIZE", "8"),
        ("MESSAGE_CONFIRM_TIMEOUT", "3s"),
        ("RELAY_LEASE", "5s"),
        // Small batches have more points between two steps at which a process can die.
        ("RELAY_BATCH", "10"),
        // Limits count, and one of them is probed; the others are wide enough for the workload.
        ("RATE_LIMIT_ENABLED", "true"),
        ("RATE_LIMIT_USER", "1000000/1m"),
        ("RATE_LIMIT_ADDRESS", "1000000/1m"),
        (
            "RATE_LIMITS",
            "login=1000000/1m,register=1000000/1m,refresh=1000000/1m,webhooks=1000000/1m,verify-email=60/1m",
        ),
        // A client retries until it has an answer, however long the outage.
        ("REFRESH_REUSE_WINDOW", "1h"),
        ("ACCESS_TOKEN_TTL", "1h"),
        // Users keep the tokens of their registration, however long the run.
        ("REAUTH_WINDOW", "1d"),
        // Logins of deleted users are tried many times.
        ("LOGIN_FREE_ATTEMPTS", "1000"),
        ("LOGIN_FREE_ATTEMPTS_PER_NAME", "1000"),
        ("SESSIONS_PER_USER", "100000"),
        // Shorter than a pause, so that a worker resumes with jobs that another one has by then.
        ("JOBS_LEASE", "1s"),
        // A schedule makes jobs during the run; the checkers look at them by themselves.
        ("JOBS_REMIND_SCHEDULE", "* * * * *"),
        // The receiver of webhooks is on loopback.
        ("JOBS_WEBHOOK_ALLOW", "127.0.0.0/8"),
        ("JOBS_WEBHOOK_HOST_RATE", "1000"),
        ("JOBS_WEBHOOK_HOST_CONCURRENCY", "8"),
        ("JOBS_PURGE_SCHEDULE", "off"),
        ("SHUTDOWN_TIMEOUT", "3s"),
        ("LOG_FORMAT", "json"),
    ];
    settings.extend(own.map(|(name, value)| (name.into(), value.into())));
    settings
}
