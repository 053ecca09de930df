//! Units of work on users.

use quartet_store::Context;
use uuid::Uuid;

use super::{Database, Queries};

/// A unit of work on users.
pub(super) type Unit = quartet_messaging::Unit<Database>;

/// The tag of cached replies that show a user, profile and tier included.
pub(super) fn cached(user_id: Uuid) -> String {
    format!("users/{user_id}")
}

/// The tag of cached replies that show tiers or their limits.
pub(super) const TIERS: &str = "tiers";

impl Queries {
    /// Begins a unit of work.
    pub(super) fn begin(&self, cx: &Context) -> Unit {
        Unit::new(&self.database, cx, &self.publisher)
    }
}
