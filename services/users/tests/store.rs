//! One suite of the store's behaviour, over both databases.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "store/news.rs"]
mod news;
#[path = "store/profiles.rs"]
mod profiles;
#[path = "store/rate_limits.rs"]
mod rate_limits;
#[path = "store/tiers.rs"]
mod tiers;
#[path = "store/users.rs"]
mod users;

use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::{Deadline, Email, Role, Username};
use quartet_messaging::Outgoing;
use quartet_store::Database;
use quartet_testkit::database::Fresh;
use quartet_users::domain::{Account, Tier, TierName, User};
use quartet_users::store::{MIGRATIONS, Store, over};
use uuid::Uuid;

/// A migrated store.
struct Kept {
    store: Box<dyn Store>,
    database: Database,
    clock: Clock,
    _fresh: Fresh,
}

impl Kept {
    async fn new(fresh: Fresh) -> Self {
        let database = fresh.open().await;
        MIGRATIONS.up(&database).await.unwrap();
        Self {
            store: over(database.clone(), Outgoing::unheard(Clock::system())),
            database,
            clock: Clock::manual(time::macros::datetime!(2026-01-01 00:00 UTC)),
            _fresh: fresh,
        }
    }

    fn account(&self, username: &str) -> Account {
        account(self.clock.new_id(), username)
    }

    /// Makes the user of a new account, a second after the one before.
    async fn user(&self, username: &str) -> Uuid {
        let account = self.account(username);
        self.tell(&account).await;
        account.id
    }

    /// Ensures the account's user, a second after what was before; the name of their tier.
    async fn tell(&self, account: &Account) -> Option<String> {
        self.clock.advance(time::Duration::seconds(1));
        self.store.ensure_user(account, self.clock.now(), soon()).await.unwrap()
    }

    async fn find(&self, id: Uuid) -> Option<User> {
        self.store.find_user(id, soon()).await.unwrap()
    }

    async fn delete(&self, id: Uuid) {
        let open = self.store.open_delete(id, self.clock.now(), soon()).await.unwrap();
        open.unwrap().commit().await.unwrap();
    }

    async fn tier(&self, name: &str) -> TierName {
        let now = self.clock.now();
        let tier = Tier {
            id: self.clock.new_id(),
            name: name.into(),
            created_at: now,
            updated_at: now,
        };
        assert!(self.store.insert_tier(&tier, soon()).await.unwrap());
        tier_name(name)
    }
}

fn account(id: Uuid, username: &str) -> Account {
    Account {
        id,
        name: None,
        username: Username::parse(username).unwrap(),
        email: Email::parse(&format!("{username}@example.org")).unwrap(),
        role: Role::User,
        updated_at: None,
    }
}

fn tier_name(name: &str) -> TierName {
    TierName::parse(name).unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}
