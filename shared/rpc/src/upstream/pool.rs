//! The instances of one backend: which of them a call goes to, what happens when none can have it,
//! and how many calls there may be.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use quartet_proto::options::Reason;
use quartet_telemetry::metrics as names;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Code;

use super::address::Addresses;
use super::budget::Budget;
use super::instance::{Instance, Part, Picked, Standing};
use super::resolve;
use crate::Failure;
use crate::tls::Reloading;

/// How long calls wait for a backend that has gone, such as one that restarts, in milliseconds
/// since it went. Later calls fail at once, until it is back.
const RECOVERY: u64 = 2_000;
/// When every instance is ejected, one call in this time probes one of them, in milliseconds.
const PROBE_EVERY: u64 = 250;
/// How long a call waits for its turn when too many are in flight.
const TURN: Duration = Duration::from_millis(250);
/// When a caller may come back: instances are connected to twice a second.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many calls and streams there may be at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) calls: usize,
    pub(super) streams: usize,
}

/// The pool of an upstream, which ends with its last clone.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) pool: Arc<Pool>,
    _stop: Arc<DropGuard>,
}

/// The instances of one backend.
pub(super) struct Pool {
    pub(super) name: Arc<str>,
    pub(super) tls: Option<Arc<Reloading<ClientConfig>>>,
    instances: RwLock<Vec<Arc<Instance>>>,
    /// One change at a time decides whether the backend is up.
    changing: Mutex<()>,
    /// Notifies whoever waits for an instance.
    changed: Notify,
    /// Since when no instance is usable; 0 while one is.
    down_since: AtomicU64,
    next_probe: AtomicU64,
    begun: Instant,
    dice: AtomicU64,
    pub(super) budget: Budget,
    calls: Gate,
    streams: Gate,
}

/// The choice of an instance.
pub(super) enum Choice {
    Use(Picked),
    /// None is usable now; one may be by then.
    Wait(u64),
    /// The backend is down.
    Down,
}

/// The instances that a call has been sent to.
pub(super) type Tried = Vec<Arc<Instance>>;

/// Opens the pool of a backend: resolves its names and connects, until the last clone is gone.
pub(super) fn open(
    name: &str,
    addresses: Addresses,
    tls: Option<Arc<Reloading<ClientConfig>>>,
    limits: Limits,
) -> Handle {
    let pool = Arc::new(Pool {
        name: name.into(),
        tls,
        instances: RwLock::default(),
        changing: Mutex::default(),
        changed: Notify::new(),
        down_since: AtomicU64::new(1),
        next_probe: AtomicU64::new(0),
        begun: Instant::now(),
        dice: AtomicU64::new(seed()),
        budget: Budget::default(),
        calls: Gate::new("call", limits.calls),
        streams: Gate::new("stream", limits.streams),
    });
    let stop = CancellationToken::new();
    tokio::spawn(
        stop.clone()
            .run_until_cancelled_owned(resolve::keep(pool.clone(), addresses)),
    );
    Handle {
        pool,
        _stop: Arc::new(stop.drop_guard()),
    }
}

/// Different in every process, so that the instances of one service do not choose alike.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

impl Pool {
    /// Milliseconds since the pool was opened; never 0.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// Numbers without a pattern (SplitMix64), to spread load and time.
    pub(super) fn roll(&self) -> u64 {
        let mut number = self.dice.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed);
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        number ^ (number >> 31)
    }

    /// The instance for the next attempt. One that was `tried` is taken only when there is no
    /// other. `may_probe` when the call can be repeated if the probe fails.
    pub(super) fn pick(&self, tried: &Tried, may_probe: bool) -> Choice {
        if let Some(picked) = self.choose(tried, may_probe) {
            return Choice::Use(picked);
        }
        let now = self.now();
        let instances = self.instances.read();
        let mut ejected = instances
            .iter()
            .filter(|instance| instance.standing(self) != Standing::Away)
            .peekable();
        let mut until = u64::MAX;
        if ejected.peek().is_some() {
            let due = self.next_probe.load(Relaxed);
            let next = now + PROBE_EVERY;
            until = due.max(now + 1);
            if due <= now && self.next_probe.compare_exchange(due, next, AcqRel, Relaxed).is_ok() {
                until = next;
                let probe = ejected.find(|instance| instance.begin_probe());
                if let Some(picked) = probe.and_then(|instance| instance.take(true)) {
                    return Choice::Use(picked);
                }
            }
        }
        let since = match self.down_since.load(Acquire) {
            0 => now,
            since => since,
        };
        if now < since + RECOVERY {
            Choice::Wait(until.min(since + RECOVERY))
        } else {
            Choice::Down
        }
    }

    /// The less loaded of two instances at random, or of all where neither of them will do.
    fn choose(&self, tried: &Tried, may_probe: bool) -> Option<Picked> {
        let instances = self.instances.read();
        let is_new = |instance: &Arc<Instance>| !tried.iter().any(|tried| Arc::ptr_eq(tried, instance));
        let pair = match *instances.as_slice() {
            [] => return None,
            [ref only] => [Some(only), None],
            ref several => {
                let (count, dice) = (several.len(), self.roll());
                let first = usize::try_from(dice & 0xFFFF).unwrap_or(0) % count;
                let step = 1 + usize::try_from((dice >> 32) & 0xFFFF).unwrap_or(0) % (count - 1);
                [several.get(first), several.get((first + step) % count)]
            }
        };
        let mut best: Option<&Arc<Instance>> = None;
        for instance in pair.into_iter().flatten().filter(|instance| is_new(instance)) {
            match instance.standing(self) {
                Standing::Usable => best = Some(less_loaded(best, instance)),
                Standing::Due if may_probe && instance.begin_probe() => return instance.take(true),
                Standing::Away | Standing::Ejected | Standing::Due => {}
            }
        }
        if let Some(picked) = best.and_then(|instance| instance.take(false)) {
            return Some(picked);
        }
        let usable = |instance: &&Arc<Instance>| instance.standing(self) == Standing::Usable;
        let others = instances.iter().filter(|instance| is_new(instance));
        let other = others
            .clone()
            .filter(usable)
            .fold(None, |best, instance| Some(less_loaded(best, instance)));
        if let Some(picked) = other.and_then(|instance| instance.take(false)) {
            return Some(picked);
        }
        let due = |instance: &&Arc<Instance>| instance.standing(self) == Standing::Due && instance.begin_probe();
        if let Some(due) = others.clone().find(due) {
            return due.take(true);
        }
        let again = instances.iter().find(|instance| !is_new(instance) && usable(instance));
        again.and_then(|instance| instance.take(false))
    }

    /// Like [`Pool::pick`]; waits while the backend may be back in a moment, if the call `waits`.
    ///
    /// Errors: UNAVAILABLE, with when to try again.
    pub(super) async fn pick_or_wait(&self, tried: &Tried, may_probe: bool, waits: bool) -> Result<Picked, Failure> {
        loop {
            // Registered before the look, so that no change between the two is missed.
            let changed = self.changed.notified();
            match self.pick(tried, may_probe) {
                Choice::Use(picked) => return Ok(picked),
                Choice::Wait(until) if waits => {
                    let until = self.begun + Duration::from_millis(until);
                    let _ = tokio::time::timeout_at(until, changed).await;
                }
                Choice::Wait(_) | Choice::Down => return Err(self.unavailable()),
            }
        }
    }

    /// UNAVAILABLE: no instance has answered.
    pub(super) fn unavailable(&self) -> Failure {
        Failure::unavailable(&self.name).retry_after(RETRY_AFTER)
    }

    /// Admits a call, or a stream.
    ///
    /// Errors: UNAVAILABLE `OVERLOADED` when there are too many.
    pub(super) async fn admit(self: &Arc<Self>, is_stream: bool) -> Result<Permit, Failure> {
        let gate = self.gate(is_stream);
        if !gate.enter().await {
            metrics::counter!(names::RPC_CLIENT_SHED_CALLS, "upstream" => self.name.clone(), "kind" => gate.kind)
                .increment(1);
            let message = format!("too many calls to {} are in flight", self.name);
            return Err(Failure::new(Code::Unavailable, Reason::Overloaded, message)
                .with("what", &self.name)
                .retry_after(RETRY_AFTER));
        }
        Ok(Permit {
            pool: self.clone(),
            is_stream,
        })
    }

    fn gate(&self, is_stream: bool) -> &Gate {
        if is_stream { &self.streams } else { &self.calls }
    }

    /// Records that an attempt was answered.
    pub(super) fn succeeded(&self, picked: &Picked) {
        if picked.instance.succeed(self) {
            tracing::info!(upstream = %self.name, instance = %picked.instance.key.1, "an ejected instance is back");
            self.refresh();
        }
    }

    /// Records that an attempt broke off.
    pub(super) fn failed(&self, picked: &Picked, part: Part) {
        match part {
            Part::Connection => self.lost(&picked.instance, picked.generation, true, picked.is_probe),
            Part::Stream => {
                if picked.instance.fail(picked.is_probe) {
                    self.eject(&picked.instance);
                    self.refresh();
                }
            }
            Part::Caller => {}
        }
    }

    /// Records that a connection is gone, and that it broke if it did. That is one failure of the
    /// instance, however many calls were in flight.
    pub(super) fn lost(&self, instance: &Arc<Instance>, generation: u64, broke: bool, is_probe: bool) {
        if instance.retire(generation) {
            if broke {
                let address = &instance.key.1;
                tracing::warn!(upstream = %self.name, instance = %address, "the connection to an instance broke");
                if instance.fail(is_probe) {
                    self.eject(instance);
                }
            }
            self.refresh();
        }
    }

    /// Ejects an instance: never more than half, unless no other is usable either.
    fn eject(&self, instance: &Arc<Instance>) {
        let _changing = self.changing.lock();
        let instances = self.instances.read();
        let others = instances.iter().filter(|other| !Arc::ptr_eq(other, instance));
        let ejected = others.clone().filter(|other| other.is_ejected()).count();
        let mut others = others.map(|other| other.standing(self));
        if others.any(|standing| standing == Standing::Usable) && (ejected + 1) * 2 > instances.len() {
            return;
        }
        instance.eject(self.now(), self.roll());
        tracing::warn!(upstream = %self.name, instance = %instance.key.1, "an instance that fails is ejected");
    }

    /// Replaces the list of instances.
    pub(super) fn replace(&self, instances: Vec<Arc<Instance>>) {
        // The old list is dropped outside the lock: with an instance ends its connection.
        let old = std::mem::replace(&mut *self.instances.write(), instances);
        drop(old);
        self.refresh();
    }

    pub(super) fn instances(&self) -> Vec<Arc<Instance>> {
        self.instances.read().clone()
    }

    /// Decides whether the backend is up, after any change of an instance.
    pub(super) fn refresh(&self) {
        {
            let _changing = self.changing.lock();
            let is_up = self
                .instances
                .read()
                .iter()
                .any(|instance| instance.standing(self) == Standing::Usable);
            let now = self.now();
            if is_up {
                self.down_since.store(0, Release);
            } else if self.down_since.compare_exchange(0, now, AcqRel, Relaxed).is_ok() {
                tracing::warn!(upstream = %self.name, "no instance of a backend can be used");
            }
        }
        self.changed.notify_waiters();
        self.report();
    }

    /// Begins the next period of the budget, and shows where the pool stands.
    pub(super) fn turn(&self) {
        self.budget.turn();
        self.report();
    }

    fn report(&self) {
        if !names::is_on() {
            return;
        }
        let name = || self.name.clone();
        let (mut ejected, mut connected, mut usable) = (0_u32, 0_u32, 0_u32);
        for instance in self.instances.read().iter() {
            let standing = instance.standing(self);
            ejected += u32::from(instance.is_ejected());
            connected += u32::from(standing != Standing::Away);
            usable += u32::from(standing == Standing::Usable);
        }
        let state = match (usable, connected) {
            (0, 0) => 2,
            (0, _) => 1,
            _ => 0,
        };
        metrics::gauge!(names::RPC_CLIENT_CONNECTED_INSTANCES, "upstream" => name()).set(connected);
        metrics::gauge!(names::RPC_CLIENT_EJECTED_INSTANCES, "upstream" => name()).set(ejected);
        metrics::gauge!(names::RPC_CLIENT_BREAKER_STATE, "upstream" => name()).set(state);
        for gate in [&self.calls, &self.streams] {
            let entered = u32::try_from(gate.entered()).unwrap_or(u32::MAX);
            metrics::gauge!(names::RPC_CLIENT_CALLS_IN_FLIGHT, "upstream" => name(), "kind" => gate.kind).set(entered);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // What keeps an instance connected holds the instance, so that it would not end by itself.
        self.instances
            .get_mut()
            .iter()
            .for_each(|instance| instance.stop.cancel());
    }
}

fn less_loaded<'a>(best: Option<&'a Arc<Instance>>, other: &'a Arc<Instance>) -> &'a Arc<Instance> {
    match best {
        Some(best) if best.load.load(Relaxed) <= other.load.load(Relaxed) => best,
        _ => other,
    }
}

/// A bound on how many there are at once, and on how many wait.
struct Gate {
    kind: &'static str,
    limit: usize,
    free: Semaphore,
    waiting: AtomicUsize,
}

impl Gate {
    fn new(kind: &'static str, limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self {
            kind,
            limit,
            free: Semaphore::new(limit),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Whether there is room, if need be after a short wait, for which there are as many places.
    async fn enter(&self) -> bool {
        if let Ok(permit) = self.free.try_acquire() {
            permit.forget();
            return true;
        }
        let _place = Place(&self.waiting);
        if self.waiting.fetch_add(1, Relaxed) >= self.limit {
            return false;
        }
        match tokio::time::timeout(TURN, self.free.acquire()).await {
            Ok(Ok(permit)) => {
                permit.forget();
                true
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    fn entered(&self) -> usize {
        self.limit.saturating_sub(self.free.available_permits())
    }
}

/// A place in the queue, which is free again when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The place of a call that is in flight.
pub(super) struct Permit {
    pool: Arc<Pool>,
    is_stream: bool,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.gate(self.is_stream).free.add_permits(1);
    }
}
