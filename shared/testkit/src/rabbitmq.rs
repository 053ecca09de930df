//! A temporary virtual host of a RabbitMQ server.

use std::process::Command;

/// The variable with the URL of a RabbitMQ server for tests; `make test` sets it.
pub const SERVER: &str = "TEST_RABBITMQ_URL";
/// The variable with the path of the program `rabbitmqctl` of that server.
pub const CTL: &str = "TEST_RABBITMQ_CTL";

/// The URL of a new virtual host on the server of [`SERVER`]; `None` when that is not set. It is
/// removed with the temporary server.
pub fn vhost() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test's server is no setting of the product")]
    let (server, ctl) = (std::env::var(SERVER).ok()?, std::env::var(CTL).ok()?);
    #[expect(clippy::disallowed_methods, reason = "a unique name")]
    let name = format!("test-{}", uuid::Uuid::new_v4().simple());
    let (base, _) = server.rsplit_once('/').expect("a URL with a virtual host");
    let user = base
        .split_once("//")
        .and_then(|(_, rest)| rest.split_once(':'))
        .expect("a URL with a user")
        .0;
    for arguments in [
        vec!["add_vhost", &name],
        vec!["set_permissions", "-p", &name, user, ".*", ".*", ".*"],
    ] {
        let status = Command::new(&ctl).args(&arguments).status().expect("rabbitmqctl runs");
        assert!(status.success(), "rabbitmqctl {arguments:?} fails");
    }
    Some(format!("{base}/{name}"))
}
