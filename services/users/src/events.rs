//! What this service says and hears.
//!
//! It says what is written to users, in the transaction of the write. It hears of accounts: a new one gets its user, also when this service was away while
//! somebody registered; one that was closed or opened again takes its user along if the call that did so was broken off; and one that is gone for good
//! takes its user with it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quartet_clock::Clock;
use quartet_kernel::{Deadline, DisplayName, Email, Role, Username};
use quartet_messaging::{Handler, Message, Outcome};
use quartet_proto::auth::v1 as auth;
use quartet_proto::events::Event;
use quartet_proto::users::v1 as pb;
use uuid::Uuid;

use crate::domain::{Account, User};
use crate::store::Store;

/// The name of this service in the contracts and in its inbox.
pub const CONSUMER: &str = "users";
/// Bound on one effect.
const BOUND: Duration = Duration::from_secs(20);

pub(crate) fn updated(user: &User) -> pb::UserUpdated {
    pb::UserUpdated {
        user_id: user.id.to_string(),
        name: user.name.clone(),
        username: user.username.clone(),
        email: user.email.clone(),
    }
}

pub(crate) fn tier_changed(id: Uuid, tier: Option<&str>) -> pb::UserTierChanged {
    pb::UserTierChanged {
        user_id: id.to_string(),
        tier: tier.map(str::to_owned),
    }
}

pub(crate) fn deleted(id: Uuid) -> pb::UserDeleted {
    pb::UserDeleted {
        user_id: id.to_string(),
    }
}

pub(crate) fn restored(id: Uuid) -> pb::UserRestored {
    pb::UserRestored {
        user_id: id.to_string(),
    }
}

pub(crate) fn purged(id: Uuid) -> pb::UserPurged {
    pb::UserPurged {
        user_id: id.to_string(),
    }
}

/// Does what messages ask of users.
pub struct Hearing {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Hearing {
    /// Hears for `store`.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// What comes of the message; the error is why it never will come to anything.
    async fn hear(&self, message: &Message) -> Result<Outcome, String> {
        let (now, deadline) = (self.clock.now(), Deadline::after(BOUND));
        let id = Uuid::parse_str(&message.subject).map_err(|_| format!("`{}` is no account", message.subject))?;
        let done = match message.kind.as_str() {
            auth::AccountRegistered::KIND => {
                let account = account(id, &read(message)?)?;
                self.store.account_registered(message.id, &account, now, deadline).await
            }
            auth::AccountRoleChanged::KIND => {
                let role = role(&read::<auth::AccountRoleChanged>(message)?.role)?;
                self.store
                    .account_role_changed(message.id, id, role, now, deadline)
                    .await
            }
            auth::AccountStatusChanged::KIND => {
                let closed = read::<auth::AccountStatusChanged>(message)?.closed;
                self.store
                    .account_status_changed(message.id, id, closed, message.time, now, deadline)
                    .await
            }
            auth::AccountDeleted::KIND => self.store.account_deleted(message.id, id, now, deadline).await,
            _ => return Err("this service does not take this kind".into()),
        };
        Ok(done.into())
    }
}

#[async_trait]
impl Handler for Hearing {
    async fn handle(&self, message: &Message) -> Outcome {
        self.hear(message).await.unwrap_or_else(Outcome::dead)
    }
}

fn read<P: prost::Message + Default>(message: &Message) -> Result<P, String> {
    message.decode().map_err(|error| error.to_string())
}

fn account(id: Uuid, told: &auth::AccountRegistered) -> Result<Account, String> {
    Ok(Account {
        id,
        // A name that this service would not let pass gives way to the user name.
        name: DisplayName::parse(&told.name).ok(),
        username: Username::parse(&told.username).map_err(|_| "the user name breaks a rule of users")?,
        email: Email::parse(&told.email).map_err(|_| "the address breaks a rule of users")?,
        role: role(&told.role)?,
        updated_at: None,
    })
}

fn role(name: &str) -> Result<Role, String> {
    Role::from_name(name).ok_or_else(|| format!("`{name}` is no role"))
}
