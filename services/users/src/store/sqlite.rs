//! The queries over SQLite.

use quartet_messaging::Publisher;
use quartet_store::Sqlite as Pool;
use sqlx::SqliteConnection as Connection;

pub(super) struct Queries {
    pool: Pool,
    outgoing: Outgoing,
}

impl Queries {
    pub(super) fn new(pool: Pool, outgoing: Outgoing) -> Self {
        Self { pool, outgoing }
    }
}

mod users {
    include!("queries/users.rs");
}

mod account_news {
    include!("queries/account_news.rs");
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
