//! The service in a process of its own, from settings.

use std::process::ExitCode;

use quartet_rpc::host::{self, Host};

use crate::domain::{DeviceKey, FactorKey, MailKey};
use crate::{Config, Deps, PACKAGES, build};

/// Serves until SIGTERM or SIGINT.
pub async fn main() -> ExitCode {
    host::main("auth", PACKAGES, async |source, host: &Host| {
        let config = Config::read(source)?;
        let address = config.own.grpc_address;
        let users = host.users();
        let clock = host.clock();
        let broker = quartet_messaging::rabbit::connect(&config.messaging, "auth", clock.clone())?;
        let service = build(
            config,
            Deps {
                clock,
                users,
                mail_key: host.key_for(MailKey::PURPOSE),
                device_key: host.key_for(DeviceKey::PURPOSE),
                factor_key: host.key_for(FactorKey::PURPOSE),
                verifier: host.verifier(),
                broker,
            },
        )
        .await?;
        Ok((address, service))
    })
    .await
}
