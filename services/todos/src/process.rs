//! The service in a process of its own, from settings.

use std::process::ExitCode;

use quartet_rpc::host::{self, Host};

use crate::{Config, Deps, PACKAGES, build};

/// Serves until SIGTERM or SIGINT.
pub async fn main() -> ExitCode {
    host::main("todos", PACKAGES, async |source, host: &Host| {
        let config = Config::read(source)?;
        let address = config.grpc_address;
        let deps = Deps {
            clock: host.clock(),
            broker: quartet_messaging::rabbit::connect(&config.messaging, "todos", host.clock())?,
            cache: host.cache(),
        };
        let service = build(config, deps).await?;
        Ok((address, service))
    })
    .await
}
