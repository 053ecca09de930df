//! A running suite whose every part can be felled, in one of the two shapes that it is deployed in.

mod distributed;
mod embedded;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use quartet_messaging::Rabbit;
use quartet_tests::process::Folder;
use quartet_tests::suite::{ROOT, shared_settings};
use quartet_tests::{Rest, programs};
use serde_json::json;

use crate::books::Books;
use crate::part::Part;
use crate::{audit, client};

/// A running suite.
pub struct Stage {
    /// Its name, for the report.
    pub name: &'static str,
    /// Its parts.
    pub parts: Vec<Part>,
    /// How often each part is a target, beside the others.
    pub weights: Vec<usize>,
    /// The stores.
    pub books: Books,
    /// Address of the REST interface.
    pub address: String,
    /// A client that is not signed in.
    pub rest: Rest,
    /// The broker, if it is a server.
    pub rabbit: Option<Rabbit>,
    /// The file of the broker, if it is within the process.
    pub local_broker: Option<PathBuf>,
    settings: BTreeMap<String, String>,
    folder: Folder,
    _held: distributed::Held,
}

impl Stage {
    /// The suite in one process, on SQLite.
    pub async fn embedded() -> Self {
        embedded::build().begun().await
    }

    /// Separate processes on a PostgreSQL server and a RabbitMQ node of their own.
    pub async fn distributed() -> Self {
        distributed::build().await.begun().await
    }

    /// Brings everything up for the first time, with the witnesses in the stores and a first superuser.
    async fn begun(mut self) -> Self {
        self.up().await.expect("every part comes up");
        audit::install(&self.books)
            .await
            .expect("the stores take the witnesses");
        self.make_root();
        self
    }

    /// Waits until every part serves and the suite says that it is ready.
    pub async fn up(&mut self) -> Result<(), String> {
        for part in &mut self.parts {
            part.raise();
        }
        for part in &mut self.parts {
            part.up().await?;
        }
        for _ in 0..600 {
            let asked = tokio::time::timeout(
                client::PATIENCE,
                self.rest.call(http::Method::GET, "/readyz").try_send(),
            );
            if matches!(asked.await, Ok(Ok(reply)) if reply.status == 200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("every part is up, and /readyz never says so".into())
    }

    /// A client that is signed in as the first superuser.
    pub async fn root(&self) -> Rest {
        let body = json!({"username_or_email": ROOT.0, "password": ROOT.1});
        let tokens = self.rest.post("/api/v1/auth/login", body).await.expect(200);
        self.rest.bearing(tokens["access_token"].as_str().expect("a token"))
    }

    /// The folder that mails are written to.
    pub fn mails(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// What the parts of the suite have logged.
    pub fn logs(&self) -> String {
        let logs = self
            .parts
            .iter()
            .map(|part| std::fs::read_to_string(part.log()).unwrap_or_default());
        logs.collect()
    }

    /// Copies every log to where it outlives this run; the folder.
    pub fn keep_logs(&self, seed: u64) -> PathBuf {
        let kept = programs::project().join(format!("target/chaos/{}-{seed}", self.name));
        std::fs::create_dir_all(&kept).expect("a folder for logs");
        for part in &self.parts {
            let log = kept.join(format!("{}.log", part.name()));
            let _ = std::fs::copy(part.log(), log);
        }
        kept
    }

    fn make_root(&self) {
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

/// Settings of every program: those of all tests, and bounds that suit a suite whose parts fall every second.
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
        // Small batches leave more between two steps to die in.
        ("RELAY_BATCH", "10"),
        // A client tries again until it has an answer, however long the outage.
        ("REFRESH_REUSE_WINDOW", "1h"),
        ("ACCESS_TOKEN_TTL", "1h"),
        // Those who left are tried again and again.
        ("LOGIN_FREE_ATTEMPTS", "1000"),
        ("LOGIN_FREE_ATTEMPTS_PER_NAME", "1000"),
        // Shorter than a part may be frozen, so that a worker comes back to tasks that are another's by then.
        ("JOBS_LEASE", "1s"),
        // Nothing comes by itself while the checks look.
        ("JOBS_REMIND_SCHEDULE", "off"),
        ("JOBS_PURGE_SCHEDULE", "off"),
        ("SHUTDOWN_TIMEOUT", "3s"),
        ("LOG_FORMAT", "json"),
    ];
    settings.extend(own.map(|(name, value)| (name.into(), value.into())));
    settings
}
