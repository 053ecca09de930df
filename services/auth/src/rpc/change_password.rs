//! ChangePassword.

use quartet_kernel::Violations;
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert, proof};
use crate::Error;
use crate::domain::throttle::origin;
use crate::domain::{Account, EventKind, Password, PasswordHash};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::ChangePasswordRequest) -> Result<(), Error> {
    let user = call.user()?;
    let change = proven(rpc, call, &request.current_password, &request.new_password).await?;
    let ended = rpc
        .store
        .change_password(
            user.id,
            &change.account.password_hash,
            &change.new,
            Some(user.session_id),
            &rpc.cx(call),
        )
        .await?;
    // `None`: somebody else has changed it meanwhile, so the current one was wrong after all.
    ended.map(|_| ()).ok_or(Error::WrongPassword)
}

/// A change of the password whose current one was right.
pub(super) struct Change {
    /// The account before it.
    pub(super) account: Account,
    pub(super) new: PasswordHash,
    pub(super) has_second_factor: bool,
}

/// The change that the caller requests, once they have proven who they are by the current password.
pub(super) async fn proven(rpc: &Rpc, call: &Call, current: &str, new: &str) -> Result<Change, Error> {
    let user = call.user()?;
    let (account, (new, has_second_factor)) =
        proof::of_password(rpc, call, user, EventKind::PasswordChangeFail, |known, account| {
            let mut violations = Violations::new();
            let current = violations.check("current_password", Password::presented(current));
            let new = convert::new_password("new_password", new, account, &mut violations);
            violations.finish()?;
            Ok((
                convert::checked(current)?,
                (convert::checked(new)?, known.has_second_factor),
            ))
        })
        .await?;
    rpc.breaches.check("new_password", &new, call.deadline).await?;
    let origin = origin(call.client_address);
    let new = rpc.hashing.hash(new, &origin, call.deadline).await?;
    Ok(Change {
        account,
        new,
        has_second_factor,
    })
}
