//! What this service handles: events of accounts.
//!
//! A new account gets its user, also when this service was away while somebody registered. One that
//! was closed or opened again has its user deleted or restored, if the call that should have done so
//! was broken off. One that is gone for good has its user purged. The effects are in
//! `store/queries/account_events.rs`.

use quartet_kernel::{DisplayName, Email, Role, Username};
use quartet_messaging::{Failure, Message};
use quartet_proto::auth::v1 as pb;
use quartet_proto::events::Event;
use uuid::Uuid;

use crate::domain::{Account, AccountEvent};

/// The name of this service in the contracts and in its inbox.
pub const CONSUMER: &str = "users";

/// The event that `message` carries.
///
/// Errors: a permanent failure when it carries none that this service handles, or breaks a rule.
pub fn parse(message: &Message) -> Result<AccountEvent, Failure> {
    let id = Uuid::parse_str(&message.subject)
        .map_err(|_| Failure::Permanent(format!("`{}` is no account", message.subject)))?;
    match message.kind.as_str() {
        pb::AccountRegistered::KIND => Ok(AccountEvent::Registered(account(id, &decode(message)?)?)),
        pb::AccountRoleChanged::KIND => {
            let role = role(&decode::<pb::AccountRoleChanged>(message)?.role)?;
            Ok(AccountEvent::RoleChanged { id, role })
        }
        pb::AccountStatusChanged::KIND => {
            let closed = decode::<pb::AccountStatusChanged>(message)?.closed;
            let at = message.time;
            Ok(AccountEvent::StatusChanged { id, closed, at })
        }
        pb::AccountDeleted::KIND => Ok(AccountEvent::Deleted { id }),
        _ => Err(Failure::Permanent("this service does not handle this kind".into())),
    }
}

fn decode<P: prost::Message + Default>(message: &Message) -> Result<P, Failure> {
    message.decode().map_err(|error| Failure::Permanent(error.to_string()))
}

fn account(id: Uuid, event: &pb::AccountRegistered) -> Result<Account, Failure> {
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
