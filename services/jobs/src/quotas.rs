//! What a user may have, by tier.

use quartet_config::value::PerTier;
use quartet_rpc::User;

use crate::domain::LaneBounds;

/// What a user may have, by tier.
pub(crate) struct Quotas {
    /// Jobs that run at once, in each priority.
    pub(crate) running: PerTier,
    /// Jobs that are unfinished at once, in each priority.
    pub(crate) unfinished: PerTier,
    /// Deliveries to one host at once, whoever receives them.
    pub(crate) per_host: u32,
    /// Webhooks.
    pub(crate) webhooks: PerTier,
}

impl Quotas {
    /// The bounds of the lanes of what `user` starts.
    pub(crate) fn lanes(&self, user: &User) -> LaneBounds {
        let tier = user.tier.as_deref();
        LaneBounds {
            per_owner: self.running.of(tier),
            limit: Some(self.unfinished.of(tier)),
            per_host: self.per_host,
        }
    }

    /// How many webhooks `user` may have.
    pub(crate) fn webhooks(&self, user: &User) -> i64 {
        self.webhooks.of(user.tier.as_deref()).into()
    }

    /// The bounds of the lane of what a superuser starts again for somebody, whose tier is not known
    /// here: no limit stands in the way of a repair.
    pub(crate) fn lanes_of_repair(&self) -> LaneBounds {
        LaneBounds {
            per_owner: self.running.of(None),
            limit: None,
            per_host: self.per_host,
        }
    }
}
