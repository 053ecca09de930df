//! Services that are down while others publish events: they handle the events once they are up
//! again.
//!
//! Each service runs in this process over a store of its own, and is stopped and started as a
//! process would be.

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_config::{Secret, Source};
use quartet_kernel::Deadline;
use quartet_messaging::{Broker, Local, Publisher, Rabbit};
use quartet_proto::auth::v1 as auth_pb;
use quartet_proto::auth::v1::auth_service_client::AuthServiceClient;
use quartet_rpc::Upstream;
use quartet_rpc::host::{Host, Hosted};
use quartet_rpc::server::Stack;
use quartet_rpc::upstream::Upstreams;
use quartet_store::Context;
use quartet_testkit::database::{self, Fresh};
use quartet_testkit::identity::{HS256_SECRET, SERVICE_SECRET};
use quartet_testkit::rabbitmq;
use quartet_tests::app::eventually;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use uuid::Uuid;

/// Bound on the delivery of an event.
const DELIVERY: Duration = Duration::from_secs(30);

/// A suite whose services are stopped and started.
struct Cluster {
    clock: Clock,
    source: Source,
    broker: Arc<dyn Broker>,
    host: Host,
    auth_slot: Option<quartet_rpc::upstream::LocalSlot>,
    auth: Upstream,
    _databases: (Fresh, Fresh, Fresh, tempfile::TempDir),
}

/// A running service.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(service: impl Hosted) -> Self {
        let stop = CancellationToken::new();
        Self {
            task: tokio::spawn(service.run(stop.clone())),
            stop,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("a service stops without an error");
    }
}

impl Cluster {
    async fn new(stores: (Fresh, Fresh, Fresh), rabbit: bool) -> Self {
        let clock = Clock::system();
        let folder = tempfile::tempdir().expect("a folder");
        let urls = [stores.0.setting(), stores.1.setting(), stores.2.setting()];
        let source = Source::of([
            ("AUTH_DATABASE_URL", urls[0].as_str()),
            ("USERS_DATABASE_URL", urls[1].as_str()),
            ("TODOS_DATABASE_URL", urls[2].as_str()),
            ("ARGON2_MEMORY_KIB", "64"),
            ("ARGON2_ITERATIONS", "1"),
            ("SERVICE_TOKEN_SECRET", SERVICE_SECRET),
            ("JWT_HS256_SECRET", HS256_SECRET),
        ]);
        let broker: Arc<dyn Broker> = match rabbit {
            true => {
                let url = Secret::new(rabbitmq::vhost().expect("a server for tests; `make test` starts one"));
                Arc::new(Rabbit::new(&url, "test", clock.clone(), Duration::from_secs(10)).expect("a URL"))
            }
            false => {
                let config = quartet_store::Config::read(&source).expect("settings");
                let path = folder.path().join("broker.db");
                Arc::new(Local::open(&path, &config, clock.clone()).await.expect("a broker"))
            }
        };
        let (auth, auth_slot) = Upstream::local("auth");
        let config = quartet_rpc::Config::read(&source).expect("settings");
        let host = Host::new("test", config, clock.clone(), auth.clone(), auth.clone()).expect("secrets");
        Self {
            clock,
            source,
            broker,
            host,
            auth_slot: Some(auth_slot),
            auth,
            _databases: (stores.0, stores.1, stores.2, folder),
        }
    }

    /// Starts auth; the users and jobs services that it calls are unreachable, so that only
    /// messages work.
    async fn auth(&mut self) -> Running {
        let config = quartet_auth::Config::read(&self.source).expect("settings");
        let upstreams = Upstreams::read(&self.source).expect("settings");
        let unreachable = |name| {
            self.host
                .peer(upstreams.remote(name, "http://127.0.0.1:1").expect("a URL"))
        };
        let deps = quartet_auth::Deps {
            clock: self.clock.clone(),
            users: unreachable("users"),
            mail_key: self.host.key_for(quartet_auth::domain::MailKey::PURPOSE),
            device_key: self.host.key_for(quartet_auth::domain::DeviceKey::PURPOSE),
            factor_key: self.host.key_for(quartet_auth::domain::FactorKey::PURPOSE),
            verifier: self.host.verifier(),
            broker: Some(self.broker.clone()),
        };
        let service = quartet_auth::build(config, deps).await.expect("auth starts");
        let stack = Stack::new(self.host.access(), quartet_auth::PACKAGES, true, |routes| {
            service.add_to(routes)
        })
        .await;
        if let Some(slot) = self.auth_slot.take() {
            slot.fill(stack.expect("a stack").local());
        }
        Running::start(service)
    }

    async fn users(&self) -> Running {
        let config = quartet_users::Config::read(&self.source).expect("settings");
        let deps = quartet_users::Deps {
            clock: self.clock.clone(),
            auth: self.host.auth(),
            broker: Some(self.broker.clone()),
            cache: quartet_cache::Cache::none(),
        };
        Running::start(quartet_users::build(config, deps).await.expect("users starts"))
    }

    async fn todos(&self) -> Running {
        let config = quartet_todos::Config::read(&self.source).expect("settings");
        let deps = quartet_todos::Deps {
            clock: self.clock.clone(),
            broker: Some(self.broker.clone()),
            cache: quartet_cache::Cache::none(),
        };
        Running::start(quartet_todos::build(config, deps).await.expect("todos starts"))
    }

    /// Work on a store that begins now.
    fn cx(&self) -> Context {
        Context::new(&self.clock, soon())
    }

    async fn users_store(&self) -> Box<dyn quartet_users::store::Store> {
        let config = quartet_users::Config::read(&self.source).expect("settings");
        let database = quartet_users::store::open(&config).await.expect("the store opens");
        quartet_users::store::over(database, Publisher::detached(self.clock.clone()))
    }

    async fn todos_store(&self) -> Box<dyn quartet_todos::store::Store> {
        let config = quartet_todos::Config::read(&self.source).expect("settings");
        let database = quartet_todos::store::open(&config).await.expect("the store opens");
        quartet_todos::store::over(database, Publisher::detached(self.clock.clone()))
    }

    async fn register(&self, username: &str) -> Uuid {
        let message = auth_pb::RegisterRequest {
            name: "Ada".into(),
            username: username.into(),
            email: format!("{username}@example.org"),
            password: "correct horse battery".into(),
            ..Default::default()
        };
        let mut request = Request::new(message);
        request.set_timeout(Duration::from_secs(20));
        let registered = AuthServiceClient::new(self.auth.clone())
            .register(request)
            .await
            .expect("a registration");
        registered.into_inner().user.expect("a user").id.parse().expect("an id")
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

async fn a_registration_while_users_is_down_gets_its_user_once_it_is_up(mut cluster: Cluster) {
    let auth = cluster.auth().await;
    let early = cluster.register("early").await;
    auth.stop().await;
    let store = cluster.users_store().await;
    assert!(
        store
            .find_user(early, &cluster.cx())
            .await
            .expect("an answer")
            .is_none(),
        "users has never run"
    );

    let users = cluster.users().await;
    let auth = cluster.auth().await;
    eventually(DELIVERY, "the early user exists", async || {
        store.find_user(early, &cluster.cx()).await.expect("an answer")
    })
    .await;

    users.stop().await;
    let late = cluster.register("late").await;
    let _users = cluster.users().await;
    let user = eventually(DELIVERY, "the late user exists", async || {
        store.find_user(late, &cluster.cx()).await.expect("an answer")
    })
    .await;
    assert_eq!(
        (user.username.as_str(), user.name.as_str(), user.email.as_str()),
        ("late", "Ada", "late@example.org")
    );
    auth.stop().await;
}

async fn a_deletion_reaches_todos_once_it_is_up_even_if_the_user_was_restored_meanwhile(cluster: Cluster) {
    use quartet_todos::domain::{NewTodo, Priority, Title};
    let users = cluster.users().await;
    let (users_store, todos_store) = (cluster.users_store().await, cluster.todos_store().await);
    let account = |username: &str| quartet_users::domain::Account {
        id: cluster.clock.new_id(),
        name: None,
        username: quartet_kernel::Username::parse(username).expect("a name"),
        email: quartet_kernel::Email::parse(&format!("{username}@example.org")).expect("an address"),
        updated_at: None,
        role: quartet_kernel::Role::User,
    };
    let (deleted, restored) = (account("deleted"), account("restored"));
    let mut todos = Vec::new();
    for account in [&deleted, &restored] {
        users_store.ensure_user(account, &cluster.cx()).await.expect("a user");
        let todo = NewTodo {
            id: cluster.clock.new_id(),
            title: Title::parse("a todo").expect("a title"),
            description: None,
            completed: false,
            due_at: None,
            priority: Priority::Unspecified,
            tag_ids: Vec::new(),
        };
        let created = todos_store
            .insert_todos(account.id, &[todo], None, &cluster.cx())
            .await
            .expect("a todo");
        todos.push(created[0].clone());
        let deletion = users_store
            .begin_delete(account.id, &cluster.cx())
            .await
            .expect("a deletion");
        deletion.expect("the user exists").commit().await.expect("a commit");
    }
    let (_, restoration) = users_store
        .begin_restore(restored.id, &cluster.cx())
        .await
        .expect("a restoration")
        .expect("a user");
    restoration.commit().await.expect("a commit");

    let _todos = cluster.todos().await;

    eventually(DELIVERY, "the todo of the deleted user is deleted", async || {
        todos_store
            .find_todo(deleted.id, todos[0].id, &cluster.cx())
            .await
            .expect("an answer")
            .is_none()
            .then_some(())
    })
    .await;
    eventually(
        DELIVERY,
        "the todo of the restored user was deleted and is restored",
        async || {
            let todo = todos_store
                .find_todo(restored.id, todos[1].id, &cluster.cx())
                .await
                .expect("an answer");
            todo.filter(|todo| todo.updated_at > todo.created_at)
        },
    )
    .await;
    users.stop().await;
}

macro_rules! on_both_clusters {
    ($($name:ident),* $(,)?) => {
        mod in_process {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let stores = (database::sqlite().await, database::sqlite().await, database::sqlite().await);
                super::$name(Cluster::new(stores, false).await).await;
            })*
        }
        mod over_rabbitmq {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs RabbitMQ and PostgreSQL: make test"]
            async fn $name() {
                let stores = (database::postgres().await, database::postgres().await, database::postgres().await);
                super::$name(Cluster::new(stores, true).await).await;
            })*
        }
    };
}

on_both_clusters!(
    a_registration_while_users_is_down_gets_its_user_once_it_is_up,
    a_deletion_reaches_todos_once_it_is_up_even_if_the_user_was_restored_meanwhile,
);
