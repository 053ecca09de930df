//! A running service with fake neighbours, and the verbs that tests use on it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::BoxFuture;
use quartet_clock::Clock;
use quartet_config::Source;
use quartet_jobs::domain::Kind;
use quartet_jobs::egress::Resolve;
use quartet_jobs::notifier::JobNotifier;
use quartet_jobs::store::{MIGRATIONS, Store};
use quartet_jobs::workers::{Done, JobContext, JobError, JobHandler};
use quartet_jobs::{Config, Deps, PACKAGES, Service};
use quartet_kernel::Deadline;
use quartet_messaging::{Broker, Local, Publisher};
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::queue_service_client::QueueServiceClient;
use quartet_proto::jobs::v1::task_service_client::TaskServiceClient;
use quartet_proto::jobs::v1::webhook_service_client::WebhookServiceClient;
use quartet_rpc::Upstream;
use quartet_rpc::host::Hosted;
use quartet_store::{Context, Database};
use quartet_testkit::database::{self, Fresh};
use quartet_testkit::identity::Identity;
use quartet_testkit::stack;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::neighbours::Neighbours;

type Act = Arc<dyn Fn(Arc<JobContext>) -> BoxFuture<'static, Result<Done, JobError>> + Send + Sync>;

/// A handler that runs what a test gives it.
#[derive(Clone)]
pub(crate) struct Scripted {
    act: Act,
    timeout: Duration,
}

impl Scripted {
    pub(crate) fn new<F>(act: impl Fn(Arc<JobContext>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Done, JobError>> + Send + 'static,
    {
        Self {
            act: Arc::new(move |context| Box::pin(act(context))),
            timeout: Duration::from_secs(60),
        }
    }

    pub(crate) fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

#[async_trait]
impl JobHandler for Scripted {
    fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn run(&self, context: &JobContext) -> Result<Done, JobError> {
        (self.act)(Arc::new(context.clone())).await
    }
}

/// Names that a test makes up.
#[derive(Default)]
pub(crate) struct Names(pub(crate) HashMap<&'static str, Vec<IpAddr>>);

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        self.0
            .get(name)
            .cloned()
            .ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }
}

/// What a harness is set with.
#[derive(Default)]
pub(crate) struct Setting {
    pub(crate) settings: Vec<(&'static str, String)>,
    pub(crate) handlers: Vec<(Kind, Scripted)>,
    pub(crate) names: Names,
}

/// A service that can be stopped and started again, over one database and one broker.
pub(crate) struct Harness {
    pub(crate) clock: Clock,
    pub(crate) user: Identity,
    pub(crate) superuser: Identity,
    pub(crate) broker: Local,
    pub(crate) neighbours: Neighbours,
    pub(crate) folder: TempDir,
    pub(crate) database: Database,
    settings: Vec<(&'static str, String)>,
    handlers: Vec<(Kind, Scripted)>,
    names: Arc<Names>,
    fresh: Fresh,
}

/// One process of the service.
pub(crate) struct Process {
    pub(crate) tasks: TaskServiceClient<Upstream>,
    pub(crate) queues: QueueServiceClient<Upstream>,
    pub(crate) webhooks: WebhookServiceClient<Upstream>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Harness {
    pub(crate) async fn new(setting: Setting) -> Self {
        let fresh = database::sqlite().await;
        let database = fresh.open().await;
        MIGRATIONS.up(&database).await.unwrap();
        let folder = TempDir::new().unwrap();
        let clock = Clock::system();
        let store = quartet_store::Config::read(&Source::default()).unwrap();
        let broker = Local::open(&folder.path().join("broker.db"), &store, clock.clone())
            .await
            .unwrap();
        Self {
            user: Identity::user(&clock),
            superuser: Identity::superuser(&clock),
            neighbours: Neighbours::default(),
            names: Arc::new(setting.names),
            settings: setting.settings,
            handlers: setting.handlers,
            clock,
            broker,
            folder,
            database,
            fresh,
        }
    }

    /// A harness where jobs of the kind `export_todos` run `script`.
    pub(crate) async fn scripted(script: Scripted) -> Self {
        let handlers = vec![(Kind::ExportTodos, script)];
        Self::new(Setting {
            handlers,
            ..Setting::default()
        })
        .await
    }

    /// Starts a process of the service.
    pub(crate) async fn start(&self) -> Process {
        let service = self.service().await;
        let host = stack::host("jobs", &self.clock, Upstream::local("auth").0);
        let upstream = stack::upstream(&host, PACKAGES, &service).await;
        let stop = CancellationToken::new();
        Process {
            tasks: TaskServiceClient::new(upstream.clone()),
            queues: QueueServiceClient::new(upstream.clone()),
            webhooks: WebhookServiceClient::new(upstream),
            running: tokio::spawn(service.run(stop.clone())),
            stop,
        }
    }

    async fn service(&self) -> Service {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let mut settings = vec![
            ("JOBS_POLL_INTERVAL", "50ms".to_owned()),
            ("JOBS_LEASE", "2s".to_owned()),
            ("JOBS_FILES_DIR", path("files")),
            ("MAIL_DIR", path("mail")),
            ("JOBS_REMIND_SCHEDULE", "off".to_owned()),
            ("JOBS_PURGE_SCHEDULE", "off".to_owned()),
            ("RELAY_POLL_INTERVAL", "100ms".to_owned()),
        ];
        settings.extend(self.settings.iter().cloned());
        let source = Source::of(settings.iter().map(|(name, value)| (*name, value.as_str())));
        let host = stack::host("jobs", &self.clock, Upstream::local("auth").0);
        let neighbours = self.neighbours.upstream(&self.clock).await;
        let deps = Deps {
            clock: self.clock.clone(),
            broker: Some(Arc::new(self.broker.clone()) as Arc<dyn Broker>),
            todos: host.peer(neighbours.clone()),
            auth: host.peer(neighbours.clone()),
            users: host.peer(neighbours),
            link_key: [7; 32],
            revocations: host.revocations(),
            names: self.names.clone(),
        };
        let handlers = self.handlers.clone();
        quartet_jobs::over(
            Config::read(&source).unwrap(),
            deps,
            self.database.clone(),
            |mut own| {
                for (kind, handler) in handlers {
                    own.insert(kind, Arc::new(handler));
                }
                own
            },
        )
        .unwrap()
    }

    /// Where the database is.
    pub(crate) fn database_path(&self) -> String {
        match &self.fresh.url {
            quartet_store::database::DatabaseUrl::Sqlite(path) => path.clone(),
            quartet_store::database::DatabaseUrl::Postgres(_) => unreachable!("the harness is set over SQLite"),
        }
    }

    /// A statement of now.
    pub(crate) fn cx(&self) -> Context {
        Context::new(&self.clock, Deadline::after(Duration::from_secs(20)))
    }

    /// The store, past every process.
    pub(crate) fn store(&self) -> Box<dyn Store> {
        quartet_jobs::store::over(
            self.database.clone(),
            Publisher::detached(self.clock.clone()),
            JobNotifier::new(),
        )
    }
}

impl Process {
    /// Makes an export of the harness's user.
    pub(crate) async fn create(&mut self, harness: &Harness, task: pb::CreateTaskRequest) -> pb::Task {
        self.try_create(harness, task).await.unwrap()
    }

    pub(crate) async fn try_create(
        &mut self,
        harness: &Harness,
        task: pb::CreateTaskRequest,
    ) -> Result<pb::Task, Status> {
        self.tasks
            .create_task(harness.user.request(task))
            .await
            .map(tonic::Response::into_inner)
    }

    pub(crate) async fn get(&mut self, who: &Identity, task_id: &str) -> Result<pb::Task, Status> {
        let request = pb::GetTaskRequest {
            task_id: task_id.to_owned(),
        };
        self.tasks
            .get_task(who.request(request))
            .await
            .map(tonic::Response::into_inner)
    }

    /// The task of the harness's user, once it stands so.
    pub(crate) async fn until(&mut self, harness: &Harness, task_id: &str, status: pb::TaskStatus) -> pb::Task {
        let begun = Instant::now();
        loop {
            let task = self.get(&harness.user, task_id).await.unwrap();
            if task.status() == status {
                return task;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "still not {status:?}: {task:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops the process as a signal does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// An export.
pub(crate) fn export() -> pb::CreateTaskRequest {
    pb::CreateTaskRequest {
        payload: Some(pb::create_task_request::Payload::ExportTodos(pb::ExportTodos::default())),
        ..Default::default()
    }
}

/// Waits until `found` finds something.
pub(crate) async fn eventually<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
