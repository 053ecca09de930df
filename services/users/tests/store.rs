//! One suite of the store's behaviour, over both databases.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "store/events.rs"]
mod events;
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
use quartet_messaging::Publisher;
use quartet_store::{Context, Database};
use quartet_testkit::database::Fresh;
use quartet_users::domain::{Account, Tier, TierName, User};
use quartet_users::store::{MIGRATIONS, Store, over};
use uuid::Uuid;

/// A migrated store.
struct Fixture {
    store: Box<dyn Store>,
    database: Database,
    clock: Clock,
    _fresh: Fresh,
}

impl Fixture {
    async fn new(fresh: Fresh) -> Self {
        let database = fresh.open().await;
        MIGRATIONS.up(&database).await.unwrap();
        Self {
            store: over(database.clone(), Publisher::detached(Clock::system())),
            database,
            clock: Clock::manual(time::macros::datetime!(2026-01-01 00:00 UTC)),
            _fresh: fresh,
        }
    }

    /// Work that begins now.
    fn cx(&self) -> Context {
        Context::new(&self.clock, Deadline::after(Duration::from_secs(20)))
    }

    fn account(&self, username: &str) -> Account {
        account(self.clock.new_id(), username)
    }

    /// Makes the user of a new account, a second after the one before.
    async fn user(&self, username: &str) -> Uuid {
        let account = self.account(username);
        self.ensure(&account).await;
        account.id
    }

    /// Ensures the account's user, a second after what was before; the name of their tier.
    async fn ensure(&self, account: &Account) -> Option<String> {
        self.clock.advance(time::Duration::seconds(1));
        self.store.ensure_user(account, &self.cx()).await.unwrap()
    }

    async fn find(&self, id: Uuid) -> Option<User> {
        self.store.find_user(id, &self.cx()).await.unwrap()
    }

    async fn delete(&self, id: Uuid) {
        let deletion = self.store.begin_delete(id, &self.cx()).await.unwrap();
        deletion.unwrap().commit().await.unwrap();
    }

    async fn tier(&self, name: &str) -> TierName {
        let now = self.clock.now();
        let tier = Tier {
            id: self.clock.new_id(),
            name: name.into(),
            created_at: now,
            updated_at: now,
        };
        assert!(self.store.insert_tier(&tier, &self.cx()).await.unwrap());
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
