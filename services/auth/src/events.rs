//! What this service publishes, in the transaction of the write, and what it consumes.

use quartet_kernel::{Language, Role};
use quartet_messaging::{Failure, Message};
use quartet_proto::auth::v1 as pb;
use quartet_proto::events::Event;
use quartet_proto::users::v1::{UserDeleted, UserTierChanged};
use uuid::Uuid;

use crate::domain::{Account, MailRequest, NewAccount, Purpose, UserEvent};

/// The name of this service in the contracts and in its inbox.
pub const CONSUMER: &str = "auth";

/// The event of a user in a consumed message.
///
/// Errors: permanent for a message of another kind, or one that cannot be decoded.
pub(crate) fn user_event(message: &Message) -> Result<UserEvent, Failure> {
    match message.kind.as_str() {
        UserDeleted::KIND => Ok(UserEvent::Deleted),
        UserTierChanged::KIND => {
            let event: UserTierChanged = message
                .decode()
                .map_err(|error| Failure::Permanent(error.to_string()))?;
            Ok(UserEvent::TierChanged(event.tier))
        }
        kind => Err(Failure::Permanent(format!("this service does not consume {kind}"))),
    }
}

/// An account was opened. `languages` are those that the person prefers, in the form of
/// `Accept-Language`.
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
        email_claimed: account.claimed_from.is_some(),
    }
}

/// An account was deleted for good.
pub(crate) fn deleted(id: Uuid) -> pb::AccountDeleted {
    pb::AccountDeleted {
        account_id: id.to_string(),
    }
}

/// The role of an account was changed.
pub(crate) fn role_changed(id: Uuid, role: Role) -> pb::AccountRoleChanged {
    pb::AccountRoleChanged {
        account_id: id.to_string(),
        role: role.name().to_owned(),
    }
}

/// An account was barred or closed, or may sign in again.
pub(crate) fn status_changed(account: &Account) -> pb::AccountStatusChanged {
    pb::AccountStatusChanged {
        account_id: account.id.to_string(),
        disabled: account.disabled,
        closed: account.closed,
    }
}

/// The password of an account was reset by a mail.
pub(crate) fn password_reset(account: &Account, language: Language) -> pb::PasswordReset {
    pb::PasswordReset {
        account_id: account.id.to_string(),
        email: account.email.clone(),
        language: language.tag().to_owned(),
    }
}

/// A mail was requested.
pub(crate) fn mail_requested(request: &MailRequest, language: Language) -> pb::MailRequested {
    pb::MailRequested {
        request: Some(pb::MailRequest {
            id: request.id.to_string(),
            purpose: match request.purpose {
                Purpose::PasswordReset => pb::MailPurpose::PasswordReset,
                Purpose::EmailVerification => pb::MailPurpose::EmailVerification,
                Purpose::EmailChange => pb::MailPurpose::EmailChange,
                Purpose::EmailChangeNotice => pb::MailPurpose::EmailChangeNotice,
                Purpose::EmailChangeUndo => pb::MailPurpose::EmailChangeUndo,
                Purpose::AddressTaken => pb::MailPurpose::AddressTaken,
            } as i32,
            email: request.email_key.clone(),
            account_id: request.account_id.map(|id| id.to_string()),
            requested_by: request.requested_by.map(|id| id.to_string()),
        }),
        language: language.tag().to_owned(),
    }
}
