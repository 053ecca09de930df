//! The limits of a call.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use prost_reflect::DescriptorPool;
use quartet_proto::options::{self, LimitKey};
use quartet_telemetry::metrics::RATE_LIMITED;
use uuid::Uuid;

use crate::counters::Counters;
use crate::rules::{Rule, Rules};
use crate::{Bucket, Config, Quota, Verdict};

/// Who calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    /// The signed-in user.
    pub user: Option<Uuid>,
    /// Their tier.
    pub tier: Option<&'a str>,
    /// The client's address.
    pub address: Option<IpAddr>,
}

/// The limits of every call. Cheap to clone; clones share counts and rules.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    is_enabled: bool,
    counters: Counters,
    user: General,
    address: General,
    /// The limits that methods declare for themselves, by the method's path in gRPC.
    own: HashMap<String, Vec<Own>>,
    rules: RwLock<Arc<Rules>>,
}

/// A limit on all calls.
struct General {
    name: Arc<str>,
    quota: Quota,
}

/// A limit that methods declare for themselves.
struct Own {
    name: Arc<str>,
    quota: Quota,
    key: LimitKey,
}

impl Limits {
    /// The limits of the settings and of the methods in `pool`.
    ///
    /// Errors: a setting for a limit that no method declares.
    pub fn new(config: &Config, pool: &DescriptorPool, counters: Counters) -> Result<Self, quartet_config::Error> {
        let general = |name: &str, quota| General {
            name: name.into(),
            quota,
        };
        Ok(Self(Arc::new(Inner {
            is_enabled: config.rate_limit_enabled,
            counters,
            user: general("user", config.rate_limit_user),
            address: general("address", config.rate_limit_address),
            own: own(config, pool)?,
            rules: RwLock::default(),
        })))
    }

    /// No limits.
    pub fn none() -> Self {
        let unused = |name: &str| General {
            name: name.into(),
            quota: Quota::new(1, Duration::from_secs(1)),
        };
        Self(Arc::new(Inner {
            is_enabled: false,
            counters: Counters::local(),
            user: unused("user"),
            address: unused("address"),
            own: HashMap::new(),
            rules: RwLock::default(),
        }))
    }

    /// Replaces the limits of all tiers.
    pub fn set_rules(&self, rules: Vec<Rule>) {
        let rules = Arc::new(Rules::new(rules));
        *self.0.rules.write() = rules;
    }

    /// Counts a call of the method at `method`, its path in gRPC; of none, where no method was
    /// found.
    pub async fn take(&self, method: Option<&str>, subject: Subject<'_>) -> Verdict {
        if !self.0.is_enabled {
            return Verdict::unlimited();
        }
        let verdict = self.0.counters.take(self.buckets(method, subject)).await;
        if let Err(refused) = verdict.admitted() {
            metrics::counter!(RATE_LIMITED, "limit" => self.label(&refused.limit)).increment(1);
        }
        verdict
    }

    fn buckets(&self, method: Option<&str>, subject: Subject<'_>) -> Vec<Bucket> {
        let mut buckets = Vec::with_capacity(2);
        let Some(who) = Who::of(subject) else {
            return buckets;
        };
        let rules = subject.tier.map(|_| Arc::clone(&self.0.rules.read()));
        let rule = rules
            .as_ref()
            .zip(subject.tier)
            .zip(method)
            .and_then(|((rules, tier), method)| rules.find(tier, method));
        buckets.push(match (&who, rule) {
            (Who::User(_), Some(rule)) => bucket(&rule.name, &rule.id, who, rule.quota),
            (Who::User(_), None) => bucket(&self.0.user.name, "all", who, self.0.user.quota),
            (Who::Address(_), _) => bucket(&self.0.address.name, "all", who, self.0.address.quota),
        });
        for own in method.and_then(|method| self.0.own.get(method)).into_iter().flatten() {
            let counted = match own.key {
                LimitKey::Address => subject.address.map(network),
                LimitKey::User | LimitKey::Unspecified => Some(who),
            };
            // Without an address, as within the process, there is nobody to count by it.
            let counted = counted.unwrap_or(who);
            buckets.push(bucket(&own.name, &own.name, counted, own.quota));
        }
        buckets
    }

    /// The limit as metrics show it: rules of tiers have any number of names.
    fn label(&self, name: &Arc<str>) -> String {
        let own = self.0.own.values().flatten();
        let mut known = own
            .map(|own| &own.name)
            .chain([&self.0.user.name, &self.0.address.name]);
        match known.any(|known| known == name) {
            true => name.to_string(),
            false => "tier".to_owned(),
        }
    }
}

/// Whose calls are counted together.
#[derive(Clone, Copy)]
enum Who {
    User(Uuid),
    Address(IpAddr),
}

impl Who {
    fn of(subject: Subject<'_>) -> Option<Self> {
        match (subject.user, subject.address) {
            (Some(user), _) => Some(Self::User(user)),
            (None, Some(address)) => Some(network(address)),
            (None, None) => None,
        }
    }
}

/// An address, or the network that one customer of a provider gets: of IPv6 addresses, a host has as
/// many as it likes.
fn network(address: IpAddr) -> Who {
    Who::Address(match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    })
}

fn bucket(name: &Arc<str>, kind: &str, who: Who, quota: Quota) -> Bucket {
    let mut key = String::with_capacity(kind.len() + 48);
    // Writing to a string does not fail.
    let _ = match who {
        Who::User(id) => write!(key, "user:{}:{kind}", id.as_simple()),
        Who::Address(address) => write!(key, "address:{address}:{kind}"),
    };
    Bucket {
        name: name.clone(),
        key,
        quota,
    }
}

fn own(config: &Config, pool: &DescriptorPool) -> Result<HashMap<String, Vec<Own>>, quartet_config::Error> {
    let mut by_method = HashMap::new();
    let mut names = BTreeSet::new();
    for method in pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
    {
        let declared = options::limits(&method).into_iter().map(|limit| {
            names.insert(limit.name.clone());
            let changed = config
                .rate_limits
                .0
                .iter()
                .rev()
                .find(|changed| changed.name == limit.name);
            let quota = Quota::new(limit.calls, Duration::from_secs(limit.period_seconds.into()));
            Own {
                key: limit.key(),
                quota: changed.map_or(quota, |changed| changed.quota),
                name: limit.name.into(),
            }
        });
        let declared: Vec<Own> = declared.collect();
        if !declared.is_empty() {
            by_method.insert(
                format!("/{}/{}", method.parent_service().full_name(), method.name()),
                declared,
            );
        }
    }
    match config
        .rate_limits
        .0
        .iter()
        .find(|changed| !names.contains(&changed.name))
    {
        None => Ok(by_method),
        Some(unknown) => Err(quartet_config::Error::Invalid {
            name: "RATE_LIMITS".into(),
            shown: unknown.name.clone(),
            origin: "the settings".into(),
            rule: format!("expected one of: {}", names.into_iter().collect::<Vec<_>>().join(", ")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use quartet_proto::descriptors;

    use super::*;

    const LOGIN: Option<&str> = Some("/quartet.auth.v1.AuthService/Login");
    const GET: Option<&str> = Some("/quartet.todos.v1.TodoService/GetTodo");

    fn config(limits: &str) -> Config {
        Config {
            rate_limit_enabled: true,
            rate_limit_user: "3/1m".parse().unwrap(),
            rate_limit_address: "100/1m".parse().unwrap(),
            rate_limits: limits.parse().unwrap(),
        }
    }

    fn limits(own: &str) -> Limits {
        Limits::new(&config(own), descriptors::pool(), Counters::local()).unwrap()
    }

    fn from(address: &str) -> Subject<'static> {
        Subject {
            address: Some(address.parse().unwrap()),
            ..Subject::default()
        }
    }

    async fn admitted(limits: &Limits, method: Option<&str>, subject: Subject<'_>, calls: usize) -> usize {
        let mut admitted = 0;
        for _ in 0..calls {
            admitted += usize::from(limits.take(method, subject).await.admitted().is_ok());
        }
        admitted
    }

    #[tokio::test]
    async fn a_method_has_limits_of_its_own_by_address() {
        let limits = limits("login=2/1m");
        assert_eq!(admitted(&limits, LOGIN, from("203.0.113.1"), 5).await, 2);
        assert_eq!(admitted(&limits, LOGIN, from("203.0.113.2"), 5).await, 2);
        // Signed in or not.
        let user = Subject {
            user: Some(Uuid::from_u128(1)),
            ..from("203.0.113.1")
        };
        assert_eq!(admitted(&limits, LOGIN, user, 5).await, 0);
        let refused = limits.take(LOGIN, from("203.0.113.1")).await.admitted().unwrap_err();
        assert_eq!(&*refused.limit, "login");
        assert!(refused.retry_after > Duration::from_secs(25), "{refused:?}");
    }

    #[tokio::test]
    async fn addresses_of_one_ipv6_network_count_together() {
        let limits = limits("login=2/1m");
        assert_eq!(admitted(&limits, LOGIN, from("2001:db8:0:1::1"), 1).await, 1);
        assert_eq!(admitted(&limits, LOGIN, from("2001:db8:0:1:ffff::2"), 5).await, 1);
        assert_eq!(admitted(&limits, LOGIN, from("2001:db8:0:2::1"), 5).await, 2);
    }

    #[tokio::test]
    async fn a_tier_replaces_the_general_limit_for_its_paths() {
        let limits = limits("");
        let user = |number, tier| Subject {
            user: Some(Uuid::from_u128(number)),
            tier,
            address: None,
        };
        let rule = |calls| Rule {
            id: "1".into(),
            tier: "pro".into(),
            name: "reads".into(),
            path: "/api/v1/todos/{todo_id}".into(),
            quota: Quota::new(calls, Duration::from_secs(60)),
        };
        limits.set_rules(vec![rule(5)]);
        assert_eq!(admitted(&limits, GET, user(1, None), 9).await, 3);
        assert_eq!(admitted(&limits, GET, user(2, Some("free")), 9).await, 3);
        assert_eq!(admitted(&limits, GET, user(3, Some("pro")), 9).await, 5);
        // The general one is as it was.
        assert_eq!(admitted(&limits, Some("/elsewhere"), user(3, Some("pro")), 9).await, 3);
        let verdict = limits.take(GET, user(4, Some("pro"))).await;
        assert_eq!(verdict.policy_header().unwrap(), r#""reads";q=5;w=60"#);
        assert_eq!(verdict.header_value().unwrap(), r#""reads";r=4;t=12"#);
        limits.set_rules(Vec::new());
        assert_eq!(admitted(&limits, GET, user(4, Some("pro")), 9).await, 3);
    }

    #[test]
    fn a_setting_for_a_limit_that_does_not_exist_is_refused() {
        let refused = Limits::new(&config("sing-in=1/1m"), descriptors::pool(), Counters::local());
        let message = refused.err().unwrap().to_string();
        assert!(
            message.contains("RATE_LIMITS") && message.contains("login"),
            "{message}"
        );
    }
}
