//! The users service alone, from settings.

use std::process::ExitCode;

use quartet_rpc::host::{self, Host};
use quartet_users::{Config, Deps, PACKAGES, build};

#[tokio::main]
async fn main() -> ExitCode {
    host::main("users", PACKAGES, async |source, host: &Host| {
        let config = Config::read(source)?;
        let address = config.grpc_address;
        let deps = Deps {
            clock: host.clock(),
            auth: host.auth(),
            broker: quartet_messaging::rabbit::connect(&config.messaging, "users", host.clock())?,
        };
        let service = build(config, deps).await?;
        Ok((address, service))
    })
    .await
}
