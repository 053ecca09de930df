//! Replies in Redis, for all processes.
//!
//! Nothing is found while Redis is not known to be well: a write that could not invalidate its tags
//! is remembered by the process that made it, and repeated as soon as Redis answers. Readers use
//! Redis again only some time later. What an older run of Redis had is never found, since keys begin
//! with the id of the run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::{Mutex, RwLock};
use quartet_redis::{Away, Redis};
use uuid::Uuid;

use crate::{Lookup, MAX_TTL, Ticket, Version};

/// How often it is tried whether Redis answers and takes writes.
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// Redis has to have been well for so long before anything is found in it: time for every process to
/// repeat what it could not invalidate.
const PROBATION: Duration = Duration::from_secs(1);
/// An invalidation is tried until Redis has been away for so long, or for two checks where those may take
/// longer. Before that, it may be this process alone that has had no answer, while readers find what they
/// have found; after it, whoever shares the outage has noticed.
const AWAY_FOR_ALL: Duration = Duration::from_secs(1);
/// The pause between two tries.
const TRY_EVERY: Duration = Duration::from_millis(50);
/// Tags that wait to be invalidated. Beyond them, an entry lives until its time is over.
const MAX_PENDING: usize = 100_000;

/// Replies in Redis.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    redis: Redis,
    health: RwLock<Health>,
    pending: Mutex<BTreeSet<String>>,
}

/// How Redis is.
#[derive(Debug, Clone)]
enum Health {
    /// It answers and takes writes, since then, and this is the id of its run.
    Well(Arc<str>, Instant),
    /// It has not, since then.
    Away(Instant),
}

impl Shared {
    pub(crate) fn new(redis: Redis) -> Self {
        let inner = Arc::new(Inner {
            redis,
            health: RwLock::new(Health::Away(Instant::now())),
            pending: Mutex::default(),
        });
        let watched = Arc::downgrade(&inner);
        tokio::spawn(async move {
            while let Some(inner) = watched.upgrade() {
                inner.check().await;
                drop(inner);
                tokio::time::sleep(CHECK_EVERY).await;
            }
        });
        Self(inner)
    }

    pub(crate) async fn find(&self, key: String, tags: &[String]) -> Lookup {
        let Some(run) = self.0.usable() else {
            return Lookup::Off;
        };
        let prefix = self.0.redis.prefix();
        let key = format!("{prefix}cache:{run}:{key}");
        let mut pipeline = redis::pipe();
        let command = pipeline.cmd("MGET").arg(&key);
        for tag in tags {
            command.arg(tag_key(prefix, &run, tag));
        }
        let found: Result<(Vec<Option<Bytes>>,), Away> = self.0.redis.query(&pipeline).await;
        let Ok((mut found,)) = found else {
            return Lookup::Off;
        };
        if found.len() != tags.len() + 1 {
            return Lookup::Off;
        }
        let versions: Vec<Version> = found
            .drain(1..)
            .map(|version| read_version(version.as_deref()))
            .collect();
        match found.pop().flatten().and_then(|kept| unpack(kept, &versions)) {
            Some(entry) => Lookup::Hit(entry),
            None => Lookup::Miss(Ticket { key, versions }),
        }
    }

    pub(crate) fn keep(&self, ticket: Ticket, entry: Bytes, ttl: Duration) {
        let inner = self.0.clone();
        tokio::spawn(async move {
            let mut pipeline = redis::pipe();
            pipeline
                .cmd("SET")
                .arg(&ticket.key)
                .arg(&pack(&entry, &ticket.versions)[..])
                .arg("PX")
                .arg(ttl.as_millis() as u64)
                .ignore();
            // One that is not kept is made again.
            let _: Result<(), Away> = inner.redis.query(&pipeline).await;
        });
    }

    pub(crate) async fn invalidate(&self, tags: &[String]) -> bool {
        let begun = Instant::now();
        let patience = AWAY_FOR_ALL.max(2 * (CHECK_EVERY + self.0.redis.timeout()));
        loop {
            let health = self.0.health.read().clone();
            let away_since = match health {
                Health::Well(run, _) if self.0.forget(&run, tags).await.is_ok() => return true,
                Health::Well(..) => begun,
                Health::Away(since) => since.min(begun),
            };
            if away_since.elapsed() >= patience {
                self.0.postpone(tags);
                return false;
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
    }
}

impl Inner {
    /// The run of Redis, if entries may be found in it.
    fn usable(&self) -> Option<Arc<str>> {
        match &*self.health.read() {
            Health::Well(run, since) if since.elapsed() >= PROBATION => Some(run.clone()),
            _ => None,
        }
    }

    /// Gives these tags another version.
    async fn forget(&self, run: &str, tags: &[String]) -> Result<(), Away> {
        let mut pipeline = redis::pipe();
        for tag in tags {
            pipeline
                .cmd("SET")
                .arg(tag_key(self.redis.prefix(), run, tag))
                .arg(&new_version().to_be_bytes()[..])
                .arg("PX")
                .arg(2 * MAX_TTL.as_millis() as u64)
                .ignore();
        }
        self.redis.query(&pipeline).await
    }

    fn postpone(&self, tags: &[String]) {
        let mut pending = self.pending.lock();
        if pending.len() < MAX_PENDING {
            pending.extend(tags.iter().cloned());
        }
    }

    /// Tries whether Redis is of use, and repeats what could not be invalidated.
    async fn check(&self) {
        let Ok(run) = self.run().await else {
            self.gone();
            return;
        };
        let known = matches!(&*self.health.read(), Health::Well(known, _) if **known == *run);
        if !known {
            // Its keys are those of no other run, and nothing is found in it before its time.
            *self.health.write() = Health::Well(run.as_str().into(), Instant::now());
        }
        self.repeat(&run).await;
    }

    /// Redis does not answer, or takes no writes.
    fn gone(&self) {
        let mut health = self.health.write();
        if let Health::Well(..) = *health {
            *health = Health::Away(Instant::now());
        }
    }

    async fn repeat(&self, run: &str) {
        let tags: Vec<String> = std::mem::take(&mut *self.pending.lock()).into_iter().collect();
        for some in tags.chunks(1_000) {
            if self.forget(run, some).await.is_err() {
                self.postpone(some);
                self.gone();
            }
        }
    }

    /// The id of the server's run, which is another one after each start. One that refuses writes, because it
    /// is full or a replica, is away: no tag could be given another version, while readers would find replies.
    async fn run(&self) -> Result<String, Away> {
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("SET")
            .arg(format!("{}cache:check", self.redis.prefix()))
            .arg(1)
            .arg("PX")
            .arg(MAX_TTL.as_millis() as u64)
            .ignore();
        pipeline.cmd("INFO").arg("server");
        let (info,): (String,) = self.redis.query(&pipeline).await?;
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        run.and_then(|run| run.trim().get(..16)).map(str::to_owned).ok_or(Away)
    }
}

fn tag_key(prefix: &str, run: &str, tag: &str) -> String {
    format!("{prefix}tag:{run}:{tag}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a version has to differ from every other, in any process"
)]
fn new_version() -> Version {
    Uuid::new_v4().as_u128()
}

fn read_version(bytes: Option<&[u8]>) -> Version {
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map(u128::from_be_bytes)
        .unwrap_or_default()
}

/// The entry behind the versions that it was made under.
fn pack(entry: &[u8], versions: &[Version]) -> Bytes {
    let mut packed = BytesMut::with_capacity(1 + versions.len() * 16 + entry.len());
    packed.put_u8(versions.len() as u8);
    for version in versions {
        packed.put_u128(*version);
    }
    packed.put_slice(entry);
    packed.freeze()
}

/// The entry, if it was made under these versions.
fn unpack(packed: Bytes, versions: &[Version]) -> Option<Bytes> {
    let length = 1 + versions.len() * 16;
    let (head, _) = packed.split_at_checked(length)?;
    let same = usize::from(head[0]) == versions.len()
        && head[1..]
            .chunks_exact(16)
            .zip(versions)
            .all(|(kept, version)| kept == version.to_be_bytes());
    same.then(|| packed.slice(length..))
}
