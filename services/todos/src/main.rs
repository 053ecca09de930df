//! The todos service alone, from settings.

use std::process::ExitCode;

use quartet_rpc::host::{self, Host};
use quartet_todos::{Config, Deps, PACKAGES, build};

#[tokio::main]
async fn main() -> ExitCode {
    host::main("todos", PACKAGES, async |source, host: &Host| {
        let config = Config::read(source)?;
        let address = config.grpc_address;
        let deps = Deps {
            clock: host.clock(),
            broker: quartet_messaging::rabbit::connect(&config.messaging, "todos", host.clock())?,
        };
        let service = build(config, deps).await?;
        Ok((address, service))
    })
    .await
}
