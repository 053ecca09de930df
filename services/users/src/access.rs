//! Who may change whom.

use quartet_rpc::{Call, User};
use uuid::Uuid;

use crate::Error;

/// The caller, if they may change the user `id`: themselves, or anybody for a superuser. Users see
/// one another, so there is nothing to hide behind NOT_FOUND.
pub(crate) fn owner_or_superuser(call: &Call, id: Uuid) -> Result<&User, Error> {
    let user = call.user()?;
    match user.id == id || user.is_superuser() {
        true => Ok(user),
        false => Err(Error::NotYourUser { id }),
    }
}
