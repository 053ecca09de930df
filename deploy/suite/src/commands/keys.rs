//! `quartet keys`.

use quartet_auth::admin;

use crate::settings::Settings;
use crate::stores::{Stores, describe};

/// What to do with the keys.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print every key: its name, algorithm, state and times.
    List,
    /// Generate a new key and sign with it from now on; the old one verifies until its last token
    /// has expired.
    Rotate,
    /// Revoke a key, such as one that was stolen: within a second no token that it has signed is
    /// accepted anywhere. If it signs now, a new key takes its place.
    Revoke {
        /// Its name, as `quartet keys list` prints it.
        kid: String,
    },
}

pub(crate) async fn run(settings: &Settings, command: &Command) -> anyhow::Result<()> {
    let stores = Stores::open(settings).await?;
    let (store, clock) = (stores.auth.as_ref(), &stores.clock);
    match command {
        Command::List => {}
        Command::Rotate => {
            let rotated = admin::rotate_keys(store, clock, &settings.auth.own, &stores.cx()).await;
            let key = rotated.map_err(|error| describe(&error.into()))?;
            println!("tokens will be signed with {}", key.kid);
        }
        Command::Revoke { kid } => {
            let revoked = admin::revoke_key(store, clock, &settings.auth.own, kid, &stores.cx()).await;
            match revoked {
                Err(quartet_auth::Error::KeyNotFound { kid }) => anyhow::bail!("there is no key `{kid}`"),
                revoked => revoked.map_err(|error| describe(&error.into()))?,
            }
            println!("no token that {kid} has signed is accepted any more");
        }
    }
    let keys = admin::list_keys(store, &stores.cx()).await;
    for key in keys.map_err(|error| describe(&error.into()))? {
        let expires = key
            .expires_at
            .map(|at| format!(", verifies until {at}"))
            .unwrap_or_default();
        println!(
            "{} {} {} since {}{expires}",
            key.kid,
            key.algorithm.name(),
            key.state.name(),
            key.active_at
        );
    }
    Ok(())
}
