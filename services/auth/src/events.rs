//! What this service says and hears.
//!
//! It says what happens to accounts, in the transaction of the write. It hears of users: the sessions of one who was deleted end, and a changed tier
//! travels in the next token, also when the users service is away by then.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quartet_clock::Clock;
use quartet_kernel::{Deadline, Language, Role};
use quartet_messaging::{Handler, Message, Outcome};
use quartet_proto::auth::v1 as pb;
use quartet_proto::events::Event;
use quartet_proto::users::v1 as users;
use uuid::Uuid;

use crate::domain::{Account, EndReason, NewAccount};
use crate::ended_sessions::EndedSessions;
use crate::store::{Ending, Store};

/// The name of this service in the contracts and in its inbox.
pub const CONSUMER: &str = "auth";
/// Bound on one effect.
const BOUND: Duration = Duration::from_secs(20);

/// `languages` are those that the person prefers, as `Accept-Language`.
pub(crate) fn registered(account: &NewAccount, languages: &str) -> pb::AccountRegistered {
    pb::AccountRegistered {
        account_id: account.id.to_string(),
        name: account.name.clone(),
        username: account.username.as_str().to_owned(),
        email: account.email.as_str().to_owned(),
        role: account.role.name().to_owned(),
        language: match languages {
            "" => String::new(),
            languages => Language::preferred(languages).tag().to_owned(),
        },
    }
}

pub(crate) fn deleted(id: Uuid) -> pb::AccountDeleted {
    pb::AccountDeleted {
        account_id: id.to_string(),
    }
}

pub(crate) fn role_changed(id: Uuid, role: Role) -> pb::AccountRoleChanged {
    pb::AccountRoleChanged {
        account_id: id.to_string(),
        role: role.name().to_owned(),
    }
}

pub(crate) fn status_changed(account: &Account) -> pb::AccountStatusChanged {
    pb::AccountStatusChanged {
        account_id: account.id.to_string(),
        disabled: account.disabled,
        closed: account.closed,
    }
}

/// Does what messages ask of accounts.
pub(crate) struct Hearing {
    store: Arc<dyn Store>,
    ended: EndedSessions,
    clock: Clock,
    revocation_life: Duration,
}

impl Hearing {
    /// Hears for `store`, and has the sessions that end listed for `revocation_life`.
    pub(crate) fn new(store: Arc<dyn Store>, ended: EndedSessions, clock: Clock, revocation_life: Duration) -> Self {
        Self {
            store,
            ended,
            clock,
            revocation_life,
        }
    }

    /// What comes of the message; the error is why it never will come to anything.
    async fn hear(&self, message: &Message) -> Result<Outcome, String> {
        let (now, deadline) = (self.clock.now(), Deadline::after(BOUND));
        let id = Uuid::parse_str(&message.subject).map_err(|_| format!("`{}` is no user", message.subject))?;
        let done = match message.kind.as_str() {
            users::UserDeleted::KIND => {
                let ending = Ending {
                    reason: EndReason::Account,
                    now,
                    forget_at: now + self.revocation_life,
                };
                let ended = self
                    .store
                    .user_deleted(message.id, id, message.time, ending, deadline)
                    .await;
                ended.map(|ended| self.ended.tell(ended))
            }
            users::UserTierChanged::KIND => {
                let told: users::UserTierChanged = message.decode().map_err(|error| error.to_string())?;
                self.store
                    .user_tier_changed(message.id, id, told.tier.as_deref(), now, deadline)
                    .await
            }
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
