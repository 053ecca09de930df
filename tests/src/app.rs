//! A running suite as a test uses it.

use std::ops::Deref;
use std::time::{Duration, Instant};

use quartet_clock::Clock;
use quartet_config::Secret;
use quartet_rpc::token::ServiceTokens;
use serde_json::json;
use tonic::transport::Channel;

use crate::suite::{ROOT, SERVICE_SECRET};
use crate::{Person, Rest, Suite};

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

    /// A suite in one process for this test alone, with further settings.
    pub fn own(further: &[(&str, &str)]) -> Self {
        Self::over(SuiteRef::Own(Box::new(Suite::start_embedded(further))))
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
            let body = json!({"username_or_email": ROOT.0, "password": ROOT.1});
            let tokens = self.rest.post("/api/v1/auth/login", body).await.expect(200);
            tokens["access_token"].as_str().expect("a token").to_owned()
        };
        self.suite().root_token.get_or_init(login).await
    }

    /// A token of the service `name`.
    pub fn service_token(&self, name: &str) -> String {
        let tokens = ServiceTokens::new(name, "quartet", &Secret::new(SERVICE_SECRET), Clock::system());
        tokens.current().expect("claims are signed")
    }

    /// A gRPC channel to the service `name`, without the gateway.
    pub async fn channel(&self, name: &str) -> Channel {
        let endpoint = format!("http://{}", self.suite().grpc[name]);
        let endpoint = Channel::from_shared(endpoint)
            .expect("an address")
            .timeout(Duration::from_secs(30));
        endpoint.connect().await.expect("the service listens")
    }
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
