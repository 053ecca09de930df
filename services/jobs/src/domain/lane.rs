//! Which jobs wait for one another.

use uuid::Uuid;

/// Before the name of a host, in the key of its lane.
const HOST: &str = "host:";

/// Before an address, in the key of its lane.
const RECIPIENT: &str = "to:";

/// What a job waits in before a worker may claim it: at most `width` jobs of a lane are with
/// workers at once, and the next one gets its place when one of them ends. So a lane that is long
/// or slow holds up itself alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Whose it is: an owner, the host that deliveries go to, or the address that mails go to.
    pub key: LaneKey,
    /// Jobs that may have a place at once.
    pub width: i32,
    /// Jobs that may be unfinished at once, in places or not; one more is refused.
    pub limit: Option<i32>,
}

/// Whose lane it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneKey(String);

/// The bounds of the lanes that a call may bring jobs into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneBounds {
    /// Jobs of one owner that may have a place at once, in each queue.
    pub per_owner: u32,
    /// Jobs of one owner that may be unfinished at once, in each queue; unbounded for superusers'
    /// repairs.
    pub limit: Option<u32>,
    /// Deliveries to one host that may have a place at once.
    pub per_host: u32,
}

impl LaneBounds {
    /// The lane of what a user starts.
    pub fn of_owner(self, owner: Uuid) -> Lane {
        self.of(LaneKey(owner.to_string()))
    }

    /// The lane of that key.
    pub fn of(self, key: LaneKey) -> Lane {
        if key.0.starts_with(RECIPIENT) {
            return Lane {
                key,
                width: 1,
                limit: None,
            };
        }
        if key.is_of_host() {
            return Lane {
                key,
                width: number(self.per_host),
                limit: None,
            };
        }
        Lane {
            key,
            width: number(self.per_owner),
            limit: self.limit.map(number),
        }
    }
}

impl Lane {
    /// The lane of deliveries to one host, whoever receives them there. Nobody waits for an answer
    /// that could refuse one, so it has no limit.
    pub fn of_host(host: &str, per_host: u32) -> Self {
        Self {
            key: LaneKey(format!("{HOST}{host}")),
            width: number(per_host),
            limit: None,
        }
    }

    /// The lane of mails to one address, which are sent one after the other: each sees how many
    /// came before it.
    pub fn of_recipient(address: &str) -> Self {
        Self {
            key: LaneKey(format!("{RECIPIENT}{}", address.to_lowercase())),
            width: 1,
            limit: None,
        }
    }

    /// Whether jobs of several owners wait in it, who then take turns.
    pub fn is_shared(&self) -> bool {
        self.key.is_of_host()
    }
}

impl LaneKey {
    /// The key that a store has kept.
    pub fn stored(key: String) -> Self {
        Self(key)
    }

    /// Whether it is that of deliveries to one host.
    fn is_of_host(&self) -> bool {
        self.0.starts_with(HOST)
    }

    /// The key, as stores keep it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A number of jobs, as stores keep it; a lane of no width would never move.
fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX).max(1)
}
