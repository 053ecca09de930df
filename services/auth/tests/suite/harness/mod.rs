//! A service under test: in this process, behind the access layer, over a fresh store.

mod database;
mod jobs;
mod users;

use std::sync::Arc;
use std::time::Duration;

use quartet_auth::domain::{DeviceKey, FactorKey, MailKey};
use quartet_auth::ended_sessions::EndedSessions;
use quartet_auth::hashing::Hashing;
use quartet_auth::store::Store;
use quartet_auth::{Config, Deps, PACKAGES};
use quartet_clock::Clock;
use quartet_config::Source;
use quartet_kernel::Deadline;
use quartet_messaging::Publisher;
use quartet_proto::auth::v1 as pb;
use quartet_proto::auth::v1::auth_service_client::AuthServiceClient;
use quartet_proto::auth::v1::contact_service_client::ContactServiceClient;
use quartet_proto::auth::v1::mail_service_client::MailServiceClient;
use quartet_proto::auth::v1::o_auth_service_client::OAuthServiceClient;
use quartet_proto::auth::v1::second_factor_service_client::SecondFactorServiceClient;
use quartet_proto::auth::v1::security_event_service_client::SecurityEventServiceClient;
use quartet_rpc::Upstream;
use quartet_rpc::failure::reason_of;
use quartet_rpc::host::{Host, Hosted};
use quartet_rpc::server::Stack;
use quartet_store::{Context, Database};
use quartet_testkit::identity::for_client_at;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

pub(crate) use database::{Kind, Opened, open};
pub(crate) use jobs::FakeJobs;
pub(crate) use users::FakeUsers;

/// Each test twice: over SQLite, and over PostgreSQL where there is a server.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($auth:ident) $body:block)*) => {
        mod sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::cases::$name(start_with(Kind::Sqlite, &[]).await).await; })*
        }
        mod postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs PostgreSQL: make test"]
            async fn $name() { super::cases::$name(start_with(Kind::Postgres, &[]).await).await; })*
        }
        mod cases {
            use super::*;
            $($(#[$meta])* pub(super) async fn $name($auth: Auth) $body)*
        }
    };
}

pub(crate) use on_both;

/// A password that breaks no rule.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running service.
pub(crate) struct Auth {
    pub(crate) client: AuthServiceClient<Upstream>,
    pub(crate) clock: Clock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hashing: Hashing,
    pub(crate) users: FakeUsers,
    pub(crate) jobs: FakeJobs,
    pub(crate) config: Config,
    host: Host,
    opened: Opened,
    stop: CancellationToken,
}

/// A service over SQLite with settings that make tests fast.
pub(crate) async fn start() -> Auth {
    start_with(Kind::Sqlite, &[]).await
}

/// A service over a fresh database of this kind, with some settings of its own.
pub(crate) async fn start_with(kind: Kind, settings: &[(&str, &str)]) -> Auth {
    let opened = open(kind).await;
    let clock = Clock::manual(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
    replica(opened, clock, settings).await
}

async fn replica(opened: Opened, clock: Clock, settings: &[(&str, &str)]) -> Auth {
    let mut values = vec![
        ("ARGON2_MEMORY_KIB", "64"),
        ("ARGON2_ITERATIONS", "1"),
        ("SERVICE_TOKEN_SECRET", quartet_testkit::identity::SERVICE_SECRET),
        ("JWT_HS256_SECRET", "another secret of the tests, long enough"),
        // The clock of tests leaps; that must not look like a stream that was lost for long.
        ("REVOCATION_GRACE", "365d"),
    ];
    values.extend_from_slice(settings);
    // A later value wins.
    let config = Config::read(&Source::of(values)).unwrap();
    let (auth, auth_slot) = Upstream::local("auth");
    let host = Host::new(
        "auth",
        config.rpc.clone(),
        clock.clone(),
        auth.clone(),
        Upstream::local("users").0,
    )
    .unwrap();
    let (users_upstream, users_slot) = Upstream::local("users");
    let users = FakeUsers::default();
    users_slot.fill(users.serve(&host).await);

    let ended = EndedSessions::new(config.own.revocation_life());
    let store: Arc<dyn Store> =
        quartet_auth::store::over(opened.database.clone(), Publisher::detached(clock.clone()), ended).into();
    let deps = Deps {
        clock: clock.clone(),
        users: host.peer(users_upstream),
        mail_key: host.key_for(MailKey::PURPOSE),
        device_key: host.key_for(DeviceKey::PURPOSE),
        factor_key: host.key_for(FactorKey::PURPOSE),
        verifier: host.verifier(),
        broker: None,
    };
    let service = quartet_auth::over(config.clone(), deps, opened.database.clone())
        .await
        .unwrap();
    let hashing = service.hashing();
    let stack = Stack::new(host.access(), PACKAGES, true, |routes| service.add_to(routes))
        .await
        .unwrap();
    auth_slot.fill(stack.local());
    let stop = CancellationToken::new();
    tokio::spawn(service.run(stop.clone()));
    tokio::spawn(host.clone().watch(stop.clone()));
    Auth {
        client: AuthServiceClient::new(auth),
        clock,
        store,
        hashing,
        users,
        jobs: FakeJobs::default(),
        config,
        host,
        opened,
        stop,
    }
}

impl Auth {
    /// Another process over the same store.
    pub(crate) async fn another(&self, settings: &[(&str, &str)]) -> Auth {
        replica(self.opened.clone(), self.clock.clone(), settings).await
    }

    /// Opens an account of this name and returns its tokens.
    pub(crate) async fn register(&self, username: &str) -> pb::RegisterResponse {
        let request = pb::RegisterRequest {
            name: String::new(),
            username: username.to_owned(),
            email: format!("{username}@example.org"),
            password: PASSWORD.to_owned(),
            use_cookie: false,
        };
        self.client.clone().register(request).await.unwrap().into_inner()
    }

    /// Signs in from `address`.
    pub(crate) async fn login(&self, name: &str, password: &str, address: &str) -> Result<pb::TokenResponse, Status> {
        self.login_on("", name, password, address).await
    }

    /// Signs in from `address`, with the token of a device.
    pub(crate) async fn login_on(
        &self,
        device_token: &str,
        name: &str,
        password: &str,
        address: &str,
    ) -> Result<pb::TokenResponse, Status> {
        let mut request = Request::new(pb::LoginRequest {
            username_or_email: name.to_owned(),
            password: password.to_owned(),
            device_token: device_token.to_owned(),
            ..Default::default()
        });
        if !address.is_empty() {
            for_client_at(&mut request, address, &self.clock);
        }
        self.client
            .clone()
            .login(request)
            .await
            .map(tonic::Response::into_inner)
    }

    /// Exchanges a refresh token.
    pub(crate) async fn refresh(&self, token: &str) -> Result<pb::TokenResponse, Status> {
        let request = pb::RefreshRequest {
            refresh_token: token.to_owned(),
            refresh_cookie: None,
        };
        self.client
            .clone()
            .refresh(request)
            .await
            .map(tonic::Response::into_inner)
    }

    /// Replaces the password of whoever has the access token.
    pub(crate) async fn replace_password(
        &self,
        token: &str,
        current: &str,
        new: &str,
    ) -> Result<pb::TokenResponse, Status> {
        let request = pb::ReplacePasswordRequest {
            current_password: current.to_owned(),
            new_password: new.to_owned(),
            refresh_cookie: None,
        };
        let reply = self.client.clone().replace_password(with_token(request, token)).await;
        reply.map(tonic::Response::into_inner)
    }

    /// The account that a token speaks for, read from the service.
    pub(crate) async fn me(&self, access_token: &str) -> Result<pb::Account, Status> {
        let request = with_token(pb::GetMeRequest {}, access_token);
        self.client
            .clone()
            .get_me(request)
            .await
            .map(tonic::Response::into_inner)
    }

    /// What other services call for contacts.
    pub(crate) fn contacts(&self) -> ContactServiceClient<Upstream> {
        ContactServiceClient::new(self.host.auth().upstream())
    }

    /// A request in the name of another service.
    pub(crate) fn as_service<T>(&self, message: T) -> Request<T> {
        // The suite in one process, which may call whatever a service may.
        let peer = quartet_rpc::Peer::new(Upstream::local("auth").0, self.host.tokens("quartet"));
        peer.open_ended(message).unwrap()
    }

    /// Registers an account and makes it a superuser; its access token.
    pub(crate) async fn superuser(&self, username: &str) -> (String, String) {
        use quartet_auth::admin::{Outcome, Secret, Wanted, create_superuser};
        let email = format!("{username}@example.org");
        let wanted = Wanted {
            id: None,
            name: "",
            username,
            email: &email,
            secret: Secret::Password(PASSWORD),
            role: quartet_kernel::Role::Superuser,
            email_verified: true,
        };
        let made = create_superuser(&*self.store, &self.clock, &self.config.own, wanted, &self.cx())
            .await
            .unwrap();
        let Outcome::Opened(account) = made else {
            panic!("{username} was there");
        };
        let tokens = self.login(username, PASSWORD, "").await.unwrap();
        (account.id.to_string(), tokens.access_token)
    }

    /// Rows that `table` has.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        match &self.opened.database {
            Database::Sqlite(database) => sqlx::query_scalar(count).fetch_one(database.pool()).await.unwrap(),
            Database::Postgres(database) => sqlx::query_scalar(count).fetch_one(database.pool()).await.unwrap(),
        }
    }

    /// The circumstances of what a test does in the store.
    pub(crate) fn cx(&self) -> Context {
        Context::new(&self.clock, soon())
    }

    /// What readers of the audit trail call.
    pub(crate) fn events(&self) -> SecurityEventServiceClient<Upstream> {
        SecurityEventServiceClient::new(self.host.auth().upstream())
    }

    /// What OAuth 2.0 clients and services call.
    pub(crate) fn oauth(&self) -> OAuthServiceClient<Upstream> {
        OAuthServiceClient::new(self.host.auth().upstream())
    }

    /// What owners of second factors call.
    pub(crate) fn factors(&self) -> SecondFactorServiceClient<Upstream> {
        SecondFactorServiceClient::new(self.host.auth().upstream())
    }

    /// What other services call for mails.
    pub(crate) fn mails(&self) -> MailServiceClient<Upstream> {
        MailServiceClient::new(self.host.auth().upstream())
    }

    /// The database itself.
    pub(crate) fn database(&self) -> &Database {
        &self.opened.database
    }

    /// Stops the service's background work, as at the end of its process.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until a session is refused everywhere in this process.
    pub(crate) async fn until_revoked(&self, access_token: &str) {
        eventually(async || reason(&self.me(access_token).await) == "TOKEN_REVOKED").await;
    }
}

impl Drop for Auth {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A request with an access token.
pub(crate) fn with_token<T>(message: T, access_token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {access_token}").parse().unwrap());
    request
}

/// Why a call failed; empty when it did not.
pub(crate) fn reason<T>(result: &Result<T, Status>) -> String {
    match result {
        Ok(_) => String::new(),
        Err(status) => reason_of(status).unwrap_or_else(|| status.to_string()),
    }
}

/// Waits until `condition` holds, at most twenty seconds.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .expect("the condition holds in time");
}

/// A deadline that no test reaches.
pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}
