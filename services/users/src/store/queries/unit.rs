//! Units of work on users.

use quartet_store::Context;

use super::{Database, Queries};

/// A unit of work on users.
pub(super) type Unit = quartet_messaging::Unit<Database>;

impl Queries {
    /// Begins a unit of work.
    pub(super) fn begin(&self, cx: &Context) -> Unit {
        Unit::new(&self.database, cx, &self.publisher)
    }
}
