//! What the gateway's own process needs beside the gateway: its upstreams, from settings, and a
//! port.

use std::net::SocketAddr;

use quartet_clock::Clock;
use quartet_config::{Error, Source};
use quartet_proto::descriptors;
use quartet_redis::Redis;
use quartet_rpc::host::{self, Host};
use quartet_rpc::token::ServiceTokens;
use quartet_rpc::upstream::Upstreams;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::upstream_addresses;
use crate::ws::rooms::Rooms;
use crate::{Deps, backends};

/// The upstreams of the settings, and what verifies tokens. Call it inside a tokio runtime.
pub fn deps(source: &Source, clock: Clock, stop: &CancellationToken) -> Result<Deps, Error> {
    let connector = Upstreams::read(source)?;
    let mut upstreams = std::collections::BTreeMap::new();
    for (name, address) in upstream_addresses(source, descriptors::pool())? {
        let upstream = connector.remote(&name, &address).map_err(|error| Error::Invalid {
            name: format!("{}_URL", name.to_ascii_uppercase()),
            shown: address,
            origin: "its layer".into(),
            rule: error.to_string(),
        })?;
        upstreams.insert(name, upstream);
    }
    let redis = Redis::open(&quartet_redis::Config::read(source)?)?;
    let limits = host::limits(source, redis.as_ref())?;
    let verifier = match upstreams.get(backends::AUTH) {
        Some(auth) => {
            let config = quartet_rpc::Config::read(source)?;
            let users = upstreams.get("users").unwrap_or(auth);
            let host =
                Host::new("gateway", config, clock.clone(), auth.clone(), users.clone())?.limited(limits.clone());
            tokio::spawn(host.clone().watch(stop.clone()));
            Some(host.verifier())
        }
        None => None,
    };
    let rpc = quartet_rpc::Config::read(source)?;
    let tokens = ServiceTokens::read("gateway", &rpc, clock.clone())?;
    Ok(Deps {
        rooms: Rooms::connect(&quartet_messaging::Config::read(source)?, "gateway", &clock)?,
        upstreams,
        clock,
        verifier,
        public_url: rpc.public_url.clone(),
        limits,
        cache: host::shared_cache(source, redis)?,
        tokens,
    })
}

/// Listens on `address`; the error names it.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, std::io::Error> {
    let explain = |error: std::io::Error| {
        std::io::Error::new(
            error.kind(),
            format!("HTTP_ADDRESS: cannot listen on {address}: {error}"),
        )
    };
    TcpListener::bind(address).await.map_err(explain)
}
