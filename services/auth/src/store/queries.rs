// The queries of the store, compiled once per database by `postgres.rs` and `sqlite.rs`, which give `Pool`, `Connection` and `for_update!`.

use quartet_messaging::Publisher;

pub(super) struct Queries {
    pool: Pool,
    outgoing: Outgoing,
}

impl Queries {
    pub(super) fn new(pool: Pool, outgoing: Outgoing) -> Self {
        Self { pool, outgoing }
    }
}

mod accounts {
    use super::{Connection, Queries};
    include!("queries/accounts.rs");
}

mod attempts {
    use super::Queries;
    include!("queries/attempts.rs");
}

mod keys {
    use super::Queries;
    include!("queries/keys.rs");
}

mod mails {
    use super::{Connection, Queries};
    include!("queries/mails.rs");
}

mod user_news {
    use super::Queries;
    include!("queries/user_news.rs");
}

mod sessions {
    use super::{Connection, Queries};
    include!("queries/sessions.rs");
}
