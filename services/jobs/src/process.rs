//! The service in a process of its own, from settings.

use std::process::ExitCode;
use std::sync::Arc;

use quartet_rpc::host::{self, Host};
use quartet_rpc::upstream::Upstreams;

use crate::{Config, Deps, PACKAGES, build, egress, links};

/// Serves until SIGTERM or SIGINT.
pub async fn main() -> ExitCode {
    host::main("jobs", PACKAGES, async |source, host: &Host| {
        let config = Config::read(source)?;
        let address = config.own.grpc_address;
        let upstreams = Upstreams::read(source)?;
        let deps = Deps {
            clock: host.clock(),
            broker: quartet_messaging::rabbit::connect(&config.messaging, "jobs", host.clock())?,
            todos: host.peer(upstreams.remote("todos", &config.own.todos_url)?),
            auth: host.auth(),
            users: host.users(),
            link_key: host.key_for(links::PURPOSE),
            revocations: host.revocations(),
            names: Arc::new(egress::SystemResolver),
        };
        Ok((address, build(config, deps).await?))
    })
    .await
}
