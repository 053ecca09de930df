//! What this service publishes: one event per write to a user, committed with it.

use quartet_proto::users::v1 as pb;
use uuid::Uuid;

use crate::domain::User;

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
