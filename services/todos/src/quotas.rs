//! How much a user may have, by tier.

use quartet_config::value::PerTier;

use crate::domain::Limits;

/// How much a user may have, by tier.
pub(crate) struct Quotas {
    /// Todos that are not deleted.
    pub(crate) todos: PerTier,
    /// Tags.
    pub(crate) tags: PerTier,
}

impl Quotas {
    /// How much a user of this tier, or of none, may have.
    pub(crate) fn of(&self, tier: Option<&str>) -> Limits {
        Limits {
            todos: Some(self.todos.of(tier).into()),
            tags: Some(self.tags.of(tier).into()),
        }
    }
}
