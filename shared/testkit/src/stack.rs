//! A service behind the access layer in this process.

use quartet_clock::Clock;
use quartet_config::Source;
use quartet_rpc::host::{Host, Hosted};
use quartet_rpc::server::Stack;
use quartet_rpc::{Config, Upstream};

use crate::identity::{HS256_SECRET, SERVICE_SECRET};

/// A host that accepts the tokens of [`crate::identity`]; only the tested service itself calls
/// `auth`. It knows of no ended session.
pub fn host(name: &str, clock: &Clock, auth: Upstream) -> Host {
    let source = Source::of([
        ("SERVICE_TOKEN_SECRET", SERVICE_SECRET),
        ("JWT_HS256_SECRET", HS256_SECRET),
    ]);
    let config = Config::read(&source).expect("the settings are valid");
    let (users, _) = Upstream::local("users");
    let host = Host::new(name, config, clock.clone(), auth, users).expect("the secrets are long enough");
    host.revocations().up();
    host
}

/// The service as an upstream, behind the whole stack of layers.
pub async fn upstream<S: Hosted>(host: &Host, packages: &[&str], service: &S) -> Upstream {
    let stack = Stack::new(host.access(), packages, true, |routes| service.add_to(routes))
        .await
        .expect("the stack is built");
    let (upstream, slot) = Upstream::local(packages[0]);
    slot.fill(stack.local());
    upstream
}
