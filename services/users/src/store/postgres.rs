//! The queries over PostgreSQL.

use quartet_store::Postgres as Pool;
use sqlx::PgConnection as Connection;

pub(super) struct Queries {
    pool: Pool,
}

impl Queries {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

mod users {
    include!("queries/users.rs");
}

mod profiles {
    include!("queries/profiles.rs");
}

mod tiers {
    include!("queries/tiers.rs");
}

mod rate_limits {
    include!("queries/rate_limits.rs");
}
