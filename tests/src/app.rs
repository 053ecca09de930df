//! A running suite as a test uses it.

use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, Instant};

use quartet_clock::Clock;
use quartet_config::{Secret, Source};
use quartet_rpc::token::ServiceTokens;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::rustls::ClientConfig;
use tonic::transport::{Channel, Endpoint};

use crate::{Person, Rest, Suite, vault};

/// A running suite as one test uses it. It is also a REST client without a token.
pub struct App {
    suite: SuiteRef,
    rest: Rest,
}

enum SuiteRef {
    Shared(&'static Suite),
    Own(Box<Suite>),
}

impl App {
    /// The shared suite in one process.
    pub fn embedded() -> Self {
        Self::over(SuiteRef::Shared(Suite::embedded()))
    }

    /// The shared suite of separate processes.
    pub fn distributed() -> Self {
        Self::over(SuiteRef::Shared(Suite::distributed()))
    }

    /// The running system that the settings describe.
    pub fn composed() -> Self {
        Self::over(SuiteRef::Shared(Suite::composed()))
    }

    /// The shared suite of separate processes that prove themselves to one another.
    pub fn secured() -> Self {
        Self::over(SuiteRef::Shared(Suite::secured()))
    }

    /// The same for this test alone, with further settings.
    pub fn own_secured(further: &[(&str, &str)]) -> Self {
        let suite = std::thread::scope(|scope| scope.spawn(|| Suite::start_secured(further)).join());
        Self::over(SuiteRef::Own(Box::new(suite.expect("the suite starts"))))
    }

    /// A suite in one process for this test alone, with further settings.
    pub fn own(further: &[(&str, &str)]) -> Self {
        Self::over(SuiteRef::Own(Box::new(Suite::start_embedded(further))))
    }

    /// A suite of separate processes for this test alone, with further settings.
    pub fn own_distributed(further: &[(&str, &str)]) -> Self {
        // A start runs async code, and a test is inside a runtime already.
        let suite = std::thread::scope(|scope| scope.spawn(|| Suite::start_distributed(further)).join());
        Self::over(SuiteRef::Own(Box::new(suite.expect("the suite starts"))))
    }

    /// A suite of separate processes for this test alone, with two instances of `service`.
    pub fn with_two(service: &'static str) -> Self {
        Self::over(SuiteRef::Own(Box::new(Suite::start_with_two(service))))
    }

    fn over(suite: SuiteRef) -> Self {
        let rest = Rest::new(&suite.suite().http);
        Self { suite, rest }
    }

    /// The suite.
    pub fn suite(&self) -> &Suite {
        self.suite.suite()
    }

    /// The suite, where it is for this test alone.
    pub fn suite_mut(&mut self) -> &mut Suite {
        match &mut self.suite {
            SuiteRef::Own(suite) => suite,
            SuiteRef::Shared(_) => panic!("a shared suite cannot be changed"),
        }
    }

    /// Registers a new user.
    pub async fn register(&self) -> Person {
        let username = unique("u");
        let (email, password) = (format!("{username}@example.org"), "correct horse battery".to_owned());
        let body = json!({"name": "Somebody New", "username": username, "email": email, "password": password});
        let registered = self.rest.post("/api/v1/auth/register", body).await.expect(201);
        let person = Person {
            id: registered["user"]["id"].as_str().expect("a user has an id").to_owned(),
            username,
            email,
            password,
            access_token: String::new(),
            refresh_token: String::new(),
            rest: self.rest.clone(),
        };
        person.with_tokens(&registered)
    }

    /// Logs a user in once more.
    pub async fn login(&self, person: &Person) -> Person {
        let body = json!({"username_or_email": person.username, "password": person.password});
        person.with_tokens(&self.rest.post("/api/v1/auth/login", body).await.expect(200))
    }

    /// Registers a new user, whom the first superuser makes a superuser.
    pub async fn superuser(&self) -> Person {
        let root = self.rest.with_token(self.root_token().await);
        let person = self.register().await;
        let role = json!({"role": "ROLE_SUPERUSER"});
        root.put(&format!("/api/v1/auth/accounts/{}/role", person.id), role)
            .await
            .expect(200);
        self.login(&person).await
    }

    /// The first superuser's token. One login serves all tests: a dozen at once would be throttled.
    async fn root_token(&self) -> &str {
        let login = async || {
            let (username, password) = self.suite().root();
            let body = json!({"username_or_email": username, "password": password});
            let tokens = self.rest.post("/api/v1/auth/login", body).await.expect(200);
            tokens["access_token"].as_str().expect("a token").to_owned()
        };
        self.suite().root_token.get_or_init(login).await
    }

    /// A token of the service `name`.
    pub fn service_token(&self, name: &str) -> String {
        self.service_tokens(name).current().expect("claims are signed")
    }

    /// Tokens of the service `name`, for longer than one of them lasts.
    pub fn service_tokens(&self, name: &str) -> ServiceTokens {
        if self.suite().is_secured() {
            return tokens_by_key(name, &self.suite().vault().private_key(name));
        }
        let secret = Secret::new(self.suite().service_secret());
        ServiceTokens::new(name, "quartet", &secret, Clock::system())
    }

    /// The address of this test as the suite, or the proxy before it, sees it.
    pub async fn own_address(&self) -> String {
        let stream = TcpStream::connect(&self.suite().http).await.expect("the suite listens");
        stream
            .local_addr()
            .expect("a connection has an address")
            .ip()
            .to_string()
    }

    /// A gRPC channel to the service `name`, without the gateway.
    pub async fn channel(&self, name: &str) -> Channel {
        if self.suite().is_secured() {
            let identity = self.suite().vault().identity(vault::SUITE);
            return self.channel_of(name, identity).await.expect("the service listens");
        }
        self.endpoint(name).connect().await.expect("the service listens")
    }

    /// The same over TLS, as whoever this is.
    pub async fn channel_of(&self, name: &str, identity: ClientConfig) -> Result<Channel, String> {
        vault::channel(self.endpoint(name), &self.suite().grpc[name], identity).await
    }

    /// Where the service `name` is, without TLS.
    pub fn endpoint(&self, name: &str) -> Endpoint {
        let endpoint = format!("http://{}", self.suite().grpc[name]);
        Channel::from_shared(endpoint)
            .expect("an address")
            .timeout(Duration::from_secs(30))
    }
}

/// Tokens of the service `name` that are signed with the key in this file.
pub fn tokens_by_key(name: &str, file: &Path) -> ServiceTokens {
    let file = file.display().to_string();
    let config = quartet_rpc::Config::read(&Source::of([("SERVICE_KEY_FILE", file.as_str())]));
    let tokens = ServiceTokens::read(name, &config.expect("settings"), Clock::system());
    tokens.expect("a key").expect("a setting names it")
}

impl SuiteRef {
    fn suite(&self) -> &Suite {
        match self {
            Self::Shared(suite) => suite,
            Self::Own(suite) => suite,
        }
    }
}

impl Deref for App {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.rest
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.suite().log_tails());
        }
    }
}

/// A unique name.
pub fn unique(prefix: &str) -> String {
    let id = Clock::system().new_id().simple().to_string();
    // The random end of the id; it begins with the time, which is equal for tests that run at once.
    format!("{prefix}{}", &id[id.len() - 16..])
}

/// Repeats `attempt` until it returns a value, for at most `bound`.
pub async fn eventually<T>(bound: Duration, what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(done) = attempt().await {
            return done;
        }
        assert!(begun.elapsed() < bound, "not within {bound:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
