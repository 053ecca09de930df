//! The events that this service publishes and consumes.
//!
//! Published is every write to a user, in the transaction of the write. Consumed are events of
//! accounts: a new one gets its user, also when this service was away while somebody registered.
//! One that was closed or opened again has its user deleted or restored, if the call that should
//! have done so was broken off. One that is gone for good has its user purged. The effects are in
//! `store/queries/account_events.rs`.

use quartet_kernel::{DisplayName, Email, Role, Username};
use quartet_messaging::{Failure, Message};
use quartet_proto::auth::v1 as auth;
use quartet_proto::events::Event;
use quartet_proto::users::v1 as pb;
use uuid::Uuid;

use crate::domain::{Account, AccountEvent, User};

/// The name of this service in the contracts and in its inbox.
pub const CONSUMER: &str = "users";

/// What a consumed message means for a user.
///
/// Errors: a permanent failure when it carries none that this service handles, or breaks a rule.
pub(crate) fn account_event(message: &Message) -> Result<AccountEvent, Failure> {
    let id = Uuid::parse_str(&message.subject)
        .map_err(|_| Failure::Permanent(format!("`{}` is no account", message.subject)))?;
    match message.kind.as_str() {
        auth::AccountRegistered::KIND => Ok(AccountEvent::Registered(account(id, &decode(message)?)?)),
        auth::AccountRoleChanged::KIND => {
            let role = role(&decode::<auth::AccountRoleChanged>(message)?.role)?;
            Ok(AccountEvent::RoleChanged { id, role })
        }
        auth::AccountStatusChanged::KIND => {
            let closed = decode::<auth::AccountStatusChanged>(message)?.closed;
            let at = message.time;
            Ok(AccountEvent::StatusChanged { id, closed, at })
        }
        auth::AccountDeleted::KIND => Ok(AccountEvent::Deleted { id }),
        _ => Err(Failure::Permanent("this service does not consume this kind".into())),
    }
}

/// The fields that others show have changed, or the user is new.
pub(crate) fn updated(user: &User) -> pb::UserUpdated {
    pb::UserUpdated {
        user_id: user.id.to_string(),
        name: user.name.clone(),
        username: user.username.clone(),
        email: user.email.clone(),
    }
}

/// The user has another tier, or the tier another name.
pub(crate) fn tier_changed(id: Uuid, tier: Option<&str>) -> pb::UserTierChanged {
    pb::UserTierChanged {
        user_id: id.to_string(),
        tier: tier.map(str::to_owned),
    }
}

/// The user is deleted softly.
pub(crate) fn deleted(id: Uuid) -> pb::UserDeleted {
    pb::UserDeleted {
        user_id: id.to_string(),
    }
}

/// A deleted user is back.
pub(crate) fn restored(id: Uuid) -> pb::UserRestored {
    pb::UserRestored {
        user_id: id.to_string(),
    }
}

/// The user is deleted for good.
pub(crate) fn purged(id: Uuid) -> pb::UserPurged {
    pb::UserPurged {
        user_id: id.to_string(),
    }
}

fn decode<P: prost::Message + Default>(message: &Message) -> Result<P, Failure> {
    message.decode().map_err(|error| Failure::Permanent(error.to_string()))
}

fn account(id: Uuid, event: &auth::AccountRegistered) -> Result<Account, Failure> {
    let breaks_rule = |field| Failure::Permanent(format!("the {field} breaks a rule of users"));
    Ok(Account {
        id,
        // A name that breaks a rule of this service gives way to the user name.
        name: DisplayName::parse(&event.name).ok(),
        username: Username::parse(&event.username).map_err(|_| breaks_rule("user name"))?,
        email: Email::parse(&event.email).map_err(|_| breaks_rule("address"))?,
        role: role(&event.role)?,
        updated_at: None,
    })
}

fn role(name: &str) -> Result<Role, Failure> {
    Role::from_name(name).ok_or_else(|| Failure::Permanent(format!("`{name}` is no role")))
}
