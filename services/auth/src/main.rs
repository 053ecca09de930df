//! The auth service alone, from settings.

use std::process::ExitCode;

use quartet_auth::{Config, Deps, PACKAGES, build};
use quartet_rpc::Upstream;
use quartet_rpc::host::{self, Host};

#[tokio::main]
async fn main() -> ExitCode {
    host::main("auth", PACKAGES, async |source, host: &Host| {
        let config = Config::read(source)?;
        let address = config.own.grpc_address;
        let users = host.peer(Upstream::remote("users", &config.own.users_url)?);
        let jobs = host.peer(Upstream::remote("jobs", &config.own.jobs_url)?);
        let clock = host.clock();
        let broker = quartet_messaging::rabbit::connect(&config.messaging, "auth", clock.clone())?;
        let service = build(
            config,
            Deps {
                clock,
                users,
                jobs,
                broker,
            },
        )
        .await?;
        Ok((address, service))
    })
    .await
}
