//! Webhooks: addresses that receive events.

use std::net::IpAddr;

use quartet_kernel::{Etag, Rule};
use time::OffsetDateTime;
use url::{Host, Url};
use uuid::Uuid;

use super::{EgressPolicy, NewJob};

/// An address that receives events, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// UUIDv7.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Uuid,
    /// Where deliveries go.
    pub url: String,
    /// The events that it is subscribed to.
    pub events: Vec<EventType>,
    /// Whether deliveries are made.
    pub enabled: bool,
    /// When its target has answered the challenge; `None` while it has not.
    pub proven_at: Option<OffsetDateTime>,
    /// Signs the deliveries.
    pub secret: Vec<u8>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

impl Webhook {
    /// Its version.
    pub fn etag(&self) -> Etag {
        let Self {
            id,
            owner,
            url,
            events,
            enabled,
            proven_at,
            created_at,
            updated_at,
            secret: _,
        } = self;
        Etag::of(&(id, owner, url, events, enabled, proven_at, created_at, updated_at))
    }
}

/// A webhook to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Id to give it.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Uuid,
    /// Where deliveries go.
    pub target: Target,
    /// The events to subscribe to.
    pub events: Vec<EventType>,
    /// Signs the deliveries.
    pub secret: Vec<u8>,
    /// Sends the challenge to the target.
    pub challenge: NewJob,
}

/// The fields of a webhook to write; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct WebhookEdit {
    /// Where deliveries go, and the job that sends the challenge there. It is made unless the webhook
    /// has that target already, and that has been proven.
    pub target: Option<(Target, NewJob)>,
    /// The events to subscribe to.
    pub events: Option<Vec<EventType>>,
    /// Whether deliveries are made.
    pub enabled: Option<bool>,
}

/// The type of the request that a target has to answer before it receives any event.
pub const CHALLENGE: &str = "webhook.challenge";

/// Attempts at a challenge: a target that has not agreed is called a few times alone.
pub const CHALLENGE_ATTEMPTS: i16 = 3;

/// What a webhook can be subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A todo was made.
    TodoCreated,
    /// A todo was changed.
    TodoUpdated,
    /// A todo was marked as done.
    TodoCompleted,
    /// A todo was deleted.
    TodoDeleted,
}

impl EventType {
    /// Every event.
    pub const ALL: [Self; 4] = [
        Self::TodoCreated,
        Self::TodoUpdated,
        Self::TodoCompleted,
        Self::TodoDeleted,
    ];

    /// The name that stores keep and deliveries carry.
    pub fn name(self) -> &'static str {
        match self {
            Self::TodoCreated => "todos.todo.created",
            Self::TodoUpdated => "todos.todo.updated",
            Self::TodoCompleted => "todos.todo.completed",
            Self::TodoDeleted => "todos.todo.deleted",
        }
    }

    /// The event of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// Where deliveries go: `http` or `https`, without a user, a password or a fragment. A host that is
/// an address is one that the policy allows; a name is resolved at each delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    /// Parses an address.
    pub fn parse(raw: &str, policy: &EgressPolicy) -> Result<Self, Rule> {
        let wrong = |text: &str| Rule::new("STRING_URI", text);
        if raw.is_empty() {
            return Err(Rule::required());
        }
        if raw.chars().count() > 2_048 {
            return Err(Rule::new("STRING_MAX_LEN", "must be at most 2048 characters"));
        }
        let url = Url::parse(raw).map_err(|_| wrong("must be a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("must begin with http:// or https://"));
        }
        if policy.is_encrypted() && url.scheme() != "https" {
            return Err(wrong("must begin with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(wrong("must have no user, password or fragment"));
        }
        let address = match url.host() {
            None => return Err(wrong("must have a host")),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        };
        if address.is_some_and(|address| !policy.allows(address)) {
            return Err(Rule::new("NOT_PUBLIC", "must be a public address"));
        }
        Ok(Self(url))
    }

    /// The address.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_private_address_is_refused() {
        for wrong in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]:80/x",
            "https://[::ffff:10.0.0.1]/",
        ] {
            assert_eq!(
                Target::parse(wrong, &EgressPolicy::default()).unwrap_err().name,
                "NOT_PUBLIC",
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_target_is_encrypted_where_that_is_demanded() {
        let policy = EgressPolicy::default().encrypted(true);
        assert!(Target::parse("https://example.com/", &policy).is_ok());
        assert_eq!(
            Target::parse("http://example.com/", &policy).unwrap_err().name,
            "STRING_URI"
        );
    }

    #[test]
    fn random_addresses_lead_nowhere_inside() {
        const PARTS: &[&str] = &[
            "http://",
            "https://",
            "//",
            "@",
            ":",
            "80",
            "[::1]",
            "[::ffff:7f00:1]",
            "127.0.0.1",
            "0x7f",
            "017700000001",
            "2130706433",
            ".",
            "/",
            "\\",
            "?",
            "#",
            "%31",
            "localhost",
            "example.com",
            "169.254.169.254",
            "\u{3002}",
            "\u{ff11}",
            "0",
            "10.1",
            "[",
            "]",
        ];
        quartet_testkit::random::rounds(20_000, |random| {
            let text = random.text(PARTS, 8);
            let Ok(target) = Target::parse(&text, &EgressPolicy::default()) else {
                return;
            };
            let url = target.url();
            assert!(
                matches!(url.scheme(), "http" | "https") && url.username().is_empty(),
                "{text}"
            );
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            if let Ok(address) = host.parse::<IpAddr>() {
                assert!(EgressPolicy::default().allows(address), "{text}");
            }
        });
    }

    #[test]
    fn a_target_is_a_plain_web_address() {
        assert!(Target::parse("https://example.com:8443/hooks?x=1", &EgressPolicy::default()).is_ok());
        for wrong in [
            "ftp://example.com",
            "example.com",
            "https://a:b@example.com/",
            "https://example.com/#x",
            "file:///etc/passwd",
        ] {
            assert_eq!(
                Target::parse(wrong, &EgressPolicy::default()).unwrap_err().name,
                "STRING_URI",
                "{wrong}"
            );
        }
    }
}
