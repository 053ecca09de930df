//! The services in this process, as `cargo run` has them, without their background work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor, SerializeOptions};
use quartet_clock::Clock;
use quartet_config::{Secret, Source};
use quartet_jobs::domain::{Ending, Queue};
use quartet_jobs::files::Files;
use quartet_jobs::notifier::JobNotifier;
use quartet_kernel::Deadline;
use quartet_messaging::Publisher;
use quartet_rpc::Upstream;
use quartet_rpc::host::{Host, Hosted as _};
use quartet_rpc::server::Stack;
use quartet_rpc::token::ServiceTokens;
use quartet_store::{Context, Database};
use quartet_testkit::database::Fresh;
use quartet_testkit::identity::{HS256_SECRET, Identity, SERVICE_SECRET};
use quartet_tests::grpc::RawCodec;
use serde_json::{Value as Json, json};
use tonic::{Request, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::method;
use crate::proxy::Proxy;
use crate::recorder::Recorder;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long nothing has to happen for a call to have no statements left, such as the rollback of a
/// transaction that was dropped.
const QUIET: Duration = Duration::from_millis(10);
/// The services, each with a database.
const SERVICES: [&str; 4] = ["auth", "users", "todos", "jobs"];

/// A database for each service.
pub(crate) struct Databases(BTreeMap<&'static str, Fresh>);

impl Databases {
    pub(crate) async fn new(fresh: impl AsyncFn() -> Fresh) -> Self {
        let mut databases = BTreeMap::new();
        for service in SERVICES {
            databases.insert(service, fresh().await);
        }
        Self(databases)
    }
}

/// Where statements are counted.
enum Counter {
    Postgres(BTreeMap<&'static str, Proxy>),
    Sqlite(Recorder),
}

/// The services.
pub(crate) struct Cluster {
    clock: Clock,
    upstream: Upstream,
    counter: Counter,
    /// The store of jobs, over a connection whose statements are not counted.
    jobs: Box<dyn quartet_jobs::store::Store>,
    /// The database of auth, over another such connection.
    auth: Database,
    files: Files,
    _folder: tempfile::TempDir,
    /// The token of a superuser.
    pub(crate) superuser: Option<String>,
    /// The token of a service.
    pub(crate) service: Option<String>,
}

/// A call to be sent.
pub(crate) struct Call {
    method: MethodDescriptor,
    message: DynamicMessage,
    token: Option<String>,
    /// The idempotency key, where the scenario's line says so.
    key: Option<String>,
}

/// Somebody who has registered.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) token: Option<String>,
    pub(crate) refresh_token: String,
}

impl Person {
    pub(crate) fn email(&self) -> String {
        format!("{}@example.org", self.username)
    }

    /// The password of everybody.
    pub(crate) const PASSWORD: &str = "correct horse battery";
}

impl Cluster {
    /// Over SQLite, whose statements `recorder` records.
    pub(crate) async fn on_sqlite(databases: &Databases, recorder: Recorder) -> Self {
        let urls = databases.0.iter().map(|(service, fresh)| (*service, fresh.setting()));
        Self::start(databases, urls.collect(), Counter::Sqlite(recorder)).await
    }

    /// Over PostgreSQL, with a proxy in front of each database.
    pub(crate) async fn on_postgres(databases: &Databases) -> Self {
        let (mut urls, mut proxies) = (BTreeMap::new(), BTreeMap::new());
        for (service, fresh) in &databases.0 {
            let mut url: url::Url = fresh.setting().parse().expect("a URL");
            let host = url.host_str().expect("a host");
            let proxy = Proxy::start(format!("{host}:{}", url.port().unwrap_or(5432))).await;
            url.set_host(Some("127.0.0.1")).expect("a host");
            url.set_port(Some(proxy.port())).expect("a port");
            // The proxy reads what is sent.
            url.query_pairs_mut().append_pair("sslmode", "disable");
            urls.insert(*service, url.to_string());
            proxies.insert(*service, proxy);
        }
        Self::start(databases, urls, Counter::Postgres(proxies)).await
    }

    async fn start(databases: &Databases, urls: BTreeMap<&'static str, String>, counter: Counter) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let files = folder.path().join("files").display().to_string();
        let clock = Clock::system();
        let source = Source::of([
            ("AUTH_DATABASE_URL", urls["auth"].as_str()),
            ("USERS_DATABASE_URL", urls["users"].as_str()),
            ("TODOS_DATABASE_URL", urls["todos"].as_str()),
            ("JOBS_DATABASE_URL", urls["jobs"].as_str()),
            ("JOBS_FILES_DIR", files.as_str()),
            // One connection, so that the warm-up prepares every statement of the counted call.
            ("DATABASE_POOL_SIZE", "1"),
            ("DATABASE_ACQUIRE_TIMEOUT", "30s"),
            ("ARGON2_MEMORY_KIB", "64"),
            ("ARGON2_ITERATIONS", "1"),
            ("SERVICE_TOKEN_SECRET", SERVICE_SECRET),
            ("JWT_ALGORITHM", "HS256"),
            ("JWT_HS256_SECRET", HS256_SECRET),
        ]);
        let (auth_upstream, auth_slot) = Upstream::local("auth");
        let (users_upstream, users_slot) = Upstream::local("users");
        let (todos_upstream, todos_slot) = Upstream::local("todos");
        let (upstream, slot) = Upstream::local("suite");
        let config = quartet_rpc::Config::read(&source).expect("settings");
        let host = Host::new("quartet", config, clock.clone(), auth_upstream, users_upstream.clone()).expect("secrets");

        let deps = quartet_auth::Deps {
            clock: clock.clone(),
            users: host.peer(users_upstream.clone()),
            mail_key: host.key_for(quartet_auth::domain::MailKey::PURPOSE),
            device_key: host.key_for(quartet_auth::domain::DeviceKey::PURPOSE),
            factor_key: host.key_for(quartet_auth::domain::FactorKey::PURPOSE),
            verifier: host.verifier(),
            broker: None,
        };
        let config = quartet_auth::Config::read(&source).expect("settings");
        let auth = quartet_auth::build(config, deps).await.expect("auth starts");
        let deps = quartet_users::Deps {
            clock: clock.clone(),
            auth: host.auth(),
            broker: None,
            cache: quartet_cache::Cache::none(),
        };
        let config = quartet_users::Config::read(&source).expect("settings");
        let users = quartet_users::build(config, deps).await.expect("users starts");
        let deps = quartet_todos::Deps {
            clock: clock.clone(),
            broker: None,
            cache: quartet_cache::Cache::none(),
        };
        let config = quartet_todos::Config::read(&source).expect("settings");
        let todos = quartet_todos::build(config, deps).await.expect("todos starts");

        let deps = quartet_jobs::Deps {
            clock: clock.clone(),
            broker: None,
            todos: host.peer(todos_upstream),
            auth: host.auth(),
            users: host.peer(users_upstream),
            link_key: host.key_for(quartet_jobs::links::PURPOSE),
            revocations: host.revocations(),
            names: Arc::new(quartet_jobs::egress::SystemResolver),
        };
        let config = quartet_jobs::Config::read(&source).expect("settings");
        let jobs = quartet_jobs::build(config, deps).await.expect("jobs starts");

        let packages = [
            quartet_auth::PACKAGES,
            quartet_users::PACKAGES,
            quartet_todos::PACKAGES,
            quartet_jobs::PACKAGES,
        ]
        .concat();
        // Nobody ends a session.
        host.revocations().up();
        let stack = Stack::new(host.access(), &packages, true, |routes| {
            auth.add_to(routes);
            users.add_to(routes);
            todos.add_to(routes);
            jobs.add_to(routes);
        })
        .await
        .expect("a stack");
        for slot in [auth_slot, users_slot, todos_slot, slot] {
            slot.fill(stack.local());
        }
        let publisher = Publisher::detached(clock.clone());
        let jobs = databases.0["jobs"].open().await;
        let tokens = ServiceTokens::new("quartet", "quartet", &Secret::new(SERVICE_SECRET), clock.clone());
        Self {
            superuser: Some(Identity::superuser(&clock).token),
            service: Some(tokens.current().expect("a token").to_string()),
            clock,
            upstream,
            counter,
            jobs: quartet_jobs::store::over(jobs, publisher, JobNotifier::new()),
            auth: databases.0["auth"].open().await,
            files: Files::new(files),
            _folder: folder,
        }
    }

    /// The statements that `service` has sent since the last call of this.
    pub(crate) fn take(&self, service: String) -> Vec<String> {
        match &self.counter {
            Counter::Postgres(proxies) => proxies[service.as_str()].take(),
            Counter::Sqlite(recorder) => recorder.take(&service),
        }
    }

    /// Waits until nothing is sent any more.
    pub(crate) async fn settle(&self) {
        let count = || match &self.counter {
            Counter::Postgres(proxies) => proxies.values().map(Proxy::count).sum(),
            Counter::Sqlite(recorder) => recorder.count(),
        };
        let mut before = None;
        while before != Some(count()) {
            before = Some(count());
            tokio::time::sleep(QUIET).await;
        }
    }

    /// Sends a call, which has to succeed. Returns the first message of the reply; the others are
    /// read too, unless the stream never ends.
    pub(crate) async fn send(&self, call: &Call) -> Json {
        let sent = self.try_send(call).await;
        sent.unwrap_or_else(|status| panic!("{}: {status:?}", call.method.full_name()))
    }

    async fn try_send(&self, call: &Call) -> Result<Json, Status> {
        let name = call.method.full_name();
        let path = format!("/{}/{}", call.method.parent_service().full_name(), call.method.name());
        let bytes = bytes::Bytes::from(call.message.encode_to_vec());
        let messages = futures::stream::iter([bytes]);
        let mut request = match &call.token {
            Some(token) => quartet_testkit::identity::bearer(token, messages),
            None => Request::new(messages),
        };
        request.set_timeout(TIMEOUT);
        if let Some(key) = &call.key {
            let key = key.parse().expect("a key");
            request.metadata_mut().insert("idempotency-key", key);
        }
        let mut client = tonic::client::Grpc::new(self.upstream.clone());
        client.ready().await.expect("the services are there");
        let reply = client.streaming(request, path.parse().expect("a path"), RawCodec).await;
        let mut reply = reply?.into_inner();
        let first = reply.next().await.unwrap_or_else(|| panic!("{name}: no reply"))?;
        if !call.method.name().starts_with("Watch") {
            while let Some(message) = reply.next().await {
                message?;
            }
        }
        let first = DynamicMessage::decode(call.method.output(), first).expect("a message");
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .skip_default_fields(false);
        Ok(first
            .serialize_with_options(serde_json::value::Serializer, &options)
            .expect("a message is JSON"))
    }

    /// Sends a call of the method of this short name.
    pub(crate) async fn call(&self, method: &str, token: &Option<String>, message: Json) -> Json {
        self.send(&Call::new(method, token, message)).await
    }

    /// Runs the task the way a worker does, to this ending, with this file as its result.
    pub(crate) async fn run_task(&self, id: &str, ending: Ending, file: &[u8]) {
        let cx = Context::new(&self.clock, Deadline::after(TIMEOUT));
        let id: Uuid = id.parse().expect("an id");
        let mut others = Vec::new();
        let (lease, job) = loop {
            let lease = self.clock.new_id();
            let claimed = self
                .jobs
                .claim(Queue::Default, lease, cx.now + TIMEOUT, &cx)
                .await
                .expect("a claim");
            let claimed = claimed.expect("the task is queued");
            if claimed.1.id == id {
                break claimed;
            }
            others.push(claimed);
        };
        for (lease, job) in others {
            self.jobs
                .finish(lease, &job, &Ending::Released, &cx)
                .await
                .expect("an ending");
        }
        let mut writer = self.files.create(lease.job, job.attempts).await.expect("a file");
        writer.write(file).await.expect("a file is written");
        writer.finish().await.expect("a file is written");
        let finished = self.jobs.finish(lease, &job, &ending, &cx).await.expect("an ending");
        assert!(finished.is_some(), "the lease is held");
    }

    /// The request for the mail that undoes the last change of an account's address.
    pub(crate) async fn undo_request(&self, account_id: &str) -> String {
        let sql = "select id from email_changes where account_id = $1";
        let account: Uuid = account_id.parse().expect("an id");
        let id: Uuid = match &self.auth {
            Database::Postgres(database) => {
                let mut connection = database.read(Deadline::after(TIMEOUT)).await.expect("a connection");
                sqlx::query_scalar(sql).bind(account).fetch_one(&mut *connection).await
            }
            Database::Sqlite(database) => sqlx::query_scalar(sql).bind(account).fetch_one(database.pool()).await,
        }
        .expect("a change");
        id.to_string()
    }

    /// The time.
    pub(crate) fn now(&self) -> time::OffsetDateTime {
        self.clock.now()
    }

    /// The challenge of a login that lacks a code.
    pub(crate) async fn challenge(&self, message: Json) -> String {
        let call = Call::new("AuthService/Login", &None, message);
        let refused = self.try_send(&call).await.expect_err("a code is required");
        let info = refused.get_details_error_info().expect("a reason");
        info.metadata["challenge"].clone()
    }

    /// A new id.
    pub(crate) fn id(&self) -> String {
        self.clock.new_id().to_string()
    }

    /// A new name of at most 20 letters and digits.
    pub(crate) fn name(&self) -> String {
        self.clock.new_id().simple().to_string().split_off(14)
    }

    /// Somebody new.
    pub(crate) async fn person(&self) -> Person {
        let username = self.name();
        let message = json!({
            "name": "Ada",
            "username": username,
            "email": format!("{username}@example.org"),
            "password": Person::PASSWORD,
        });
        let reply = self.call("AuthService/Register", &None, message).await;
        Person {
            id: text(&reply["user"]["id"]),
            username,
            token: Some(text(&reply["access_token"])),
            refresh_token: text(&reply["refresh_token"]),
        }
    }
}

impl Call {
    /// A call of the method of this short name.
    pub(crate) fn new(short: &str, token: &Option<String>, message: Json) -> Self {
        let method = method::find(short);
        let message = DynamicMessage::deserialize(method.input(), message);
        Self {
            message: message.unwrap_or_else(|error| panic!("{short}: {error}")),
            method,
            token: token.clone(),
            key: None,
        }
    }

    /// The same call, with a new idempotency key.
    pub(crate) fn with_key(self, key: String) -> Self {
        Self { key: Some(key), ..self }
    }

    /// The service that serves it.
    pub(crate) fn service(&self) -> String {
        method::service(&self.method)
    }
}

/// The text in `json`.
pub(crate) fn text(json: &Json) -> String {
    json.as_str().unwrap_or_else(|| panic!("{json} is no text")).to_owned()
}
