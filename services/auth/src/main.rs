//! The auth service alone, from settings.

use std::process::ExitCode;

use quartet_auth::domain::MailKey;
use quartet_auth::{Config, Deps, PACKAGES, build};
use quartet_rpc::Upstream;
use quartet_rpc::host::{self, Host};

#[tokio::main]
async fn main() -> ExitCode {
    host::main("auth", PACKAGES, async |source, host: &Host| {
        let config = Config::read(source)?;
        let address = config.own.grpc_address;
        let users = host.peer(Upstream::remote("users", &config.own.users_url)?);
        let clock = host.clock();
        let broker = quartet_messaging::rabbit::connect(&config.messaging, "auth", clock.clone())?;
        let service = build(
            config,
            Deps {
                clock,
                users,
                mail_key: host.key_for(MailKey::PURPOSE),
                broker,
            },
        )
        .await?;
        Ok((address, service))
    })
    .await
}
