//! The jobs service alone, from settings.

use std::process::ExitCode;
use std::sync::Arc;

use quartet_jobs::{Config, Deps, PACKAGES, build, egress, links};
use quartet_rpc::Upstream;
use quartet_rpc::host::{self, Host};

#[tokio::main]
async fn main() -> ExitCode {
    host::main("jobs", PACKAGES, async |source, host: &Host| {
        let config = Config::read(source)?;
        let address = config.own.grpc_address;
        let deps = Deps {
            clock: host.clock(),
            broker: quartet_messaging::rabbit::connect(&config.messaging, "jobs", host.clock())?,
            todos: host.peer(Upstream::remote("todos", &config.own.todos_url)?),
            auth: host.auth(),
            users: host.peer(Upstream::remote("users", &config.shared.users_url)?),
            link_key: host.key_for(links::PURPOSE),
            names: Arc::new(egress::SystemResolver),
        };
        Ok((address, build(config, deps).await?))
    })
    .await
}
