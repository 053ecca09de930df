//! Keeps a pool equal to what its names resolve to, and each instance connected.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::address::{Address, Addresses};
use super::dial::{self, Connection};
use super::instance::Instance;
use super::pool::Pool;

/// How often a backend's names are resolved again, so that new instances get calls and old ones are
/// forgotten.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);
/// Pause after the first attempt to connect that fails; each one after it doubles it.
const MIN_PAUSE: Duration = Duration::from_millis(25);
/// A backend that is back is used again after this long at the latest.
const MAX_PAUSE: Duration = Duration::from_millis(500);
/// A connection that ends sooner counts as a failed attempt.
const SHORT_LIFE: Duration = Duration::from_secs(1);

/// Resolves the addresses for ever.
pub(super) async fn keep(pool: Arc<Pool>, addresses: Addresses) {
    let mut known: Vec<(Address, BTreeSet<SocketAddr>)> = addresses
        .0
        .into_iter()
        .map(|address| (address, BTreeSet::new()))
        .collect();
    loop {
        for (address, sockets) in &mut known {
            match tokio::net::lookup_host((address.host.as_str(), address.port)).await {
                Ok(found) => *sockets = one_family(found.collect()),
                Err(error) => {
                    tracing::warn!(upstream = %pool.name, host = address.host, %error, "name does not resolve")
                }
            }
        }
        update(&pool, &known);
        pool.turn();
        tokio::time::sleep(RESOLVE_EVERY).await;
    }
}

/// `localhost` means both families while a server may listen on one only; the first family found is
/// enough.
fn one_family(found: BTreeSet<SocketAddr>) -> BTreeSet<SocketAddr> {
    if found.iter().any(SocketAddr::is_ipv4) {
        found.into_iter().filter(SocketAddr::is_ipv4).collect()
    } else {
        found
    }
}

fn update(pool: &Arc<Pool>, known: &[(Address, BTreeSet<SocketAddr>)]) {
    let old = pool.instances();
    let mut changed = false;
    let mut instances = Vec::with_capacity(old.len());
    for (address, sockets) in known {
        for &socket in sockets {
            let is_it = |instance: &&Arc<Instance>| instance.key.0 == *address && instance.key.1 == socket;
            if let Some(instance) = old.iter().find(is_it) {
                instances.push(instance.clone());
                continue;
            }
            match Instance::new(address.clone(), socket) {
                Ok(instance) => {
                    let instance = Arc::new(instance);
                    connect_while_there(pool, &instance);
                    instances.push(instance);
                    changed = true;
                }
                Err(error) => tracing::error!(upstream = %pool.name, %address, %error, "no authority of a URI"),
            }
        }
    }
    if changed || instances.len() != old.len() {
        for gone in old
            .iter()
            .filter(|old| !instances.iter().any(|new| Arc::ptr_eq(old, new)))
        {
            gone.stop.cancel();
        }
        pool.replace(instances);
    }
}

/// Keeps an instance connected until it is removed or the pool is gone.
fn connect_while_there(pool: &Arc<Pool>, instance: &Arc<Instance>) {
    let (pool, instance) = (Arc::downgrade(pool), instance.clone());
    let stop = instance.stop.clone();
    tokio::spawn(async move {
        let connecting = async {
            let mut failures = 0;
            while let Some(pause) = connect(&pool, &instance, &mut failures).await {
                tokio::time::sleep(pause).await;
            }
        };
        stop.run_until_cancelled(connecting).await;
    });
}

/// Connects once and waits for the end of the connection. Returns the pause before the next
/// attempt; `None` when the pool is gone.
async fn connect(pool: &std::sync::Weak<Pool>, instance: &Arc<Instance>, failures: &mut u32) -> Option<Duration> {
    let tls = pool.upgrade()?.tls.clone().filter(|_| instance.key.0.tls);
    let dialled = dial::dial(instance.key.1, &instance.key.0.host, tls.as_deref()).await;
    let pool_now = pool.upgrade()?;
    let name = pool_now.name.clone();
    match dialled {
        Ok(Connection { sender, driver }) => {
            let begun = Instant::now();
            let generation = instance.connected(sender);
            pool_now.refresh();
            drop(pool_now);
            tracing::debug!(upstream = %name, instance = %instance.key.1, "connected");
            tokio::select! {
                _ = driver => {}
                () = instance.retired(generation) => {}
            }
            let was_short = begun.elapsed() < SHORT_LIFE;
            pool.upgrade()?.lost(instance, generation, was_short, false);
            *failures = if was_short { failures.saturating_add(1) } else { 0 };
        }
        Err(error) => {
            if *failures == 0 {
                let error = error.to_string();
                tracing::warn!(upstream = %name, instance = %instance.key.1, error, "an instance cannot be reached");
            }
            *failures = failures.saturating_add(1);
        }
    }
    let pool = pool.upgrade()?;
    if *failures == 0 {
        return Some(Duration::ZERO);
    }
    let pause = MAX_PAUSE.min(MIN_PAUSE * (1 << (*failures - 1).min(8)));
    // Between 75 and 100 per cent, so that many processes do not come at once.
    Some(pause.mul_f64(0.75 + (pool.roll() % 256) as f64 / 1024.0))
}
