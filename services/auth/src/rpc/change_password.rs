//! ChangePassword.

use quartet_kernel::Violations;
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Password;
use crate::domain::throttle::{Attempt, Mark, Subject};
use crate::store::{Guess, Name};

/// A stolen access token must not serve to guess the password, from whatever address: all of them
/// count as one, and logins with it, too.
pub(super) const ORIGIN: &str = "password:change";

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::ChangePasswordRequest) -> Result<(), Error> {
    let user = call.user()?;
    let subject = Subject::of(&user.id.to_string());
    let guess = Guess {
        name: Name::Id(user.id),
        subject,
        origin: ORIGIN.to_owned(),
        address: None,
        caller: None,
    };
    let (attempt, account, current, new) = loop {
        let cx = rpc.cx(call);
        let known = rpc.store.find_sign_in(&guess, &cx).await?;
        let account = known.account.ok_or(Error::AccountNotFound { id: user.id })?;

        let mut violations = Violations::new();
        let current = violations.check("current_password", Password::presented(&request.current_password));
        let new = convert::new_password("new_password", &request.new_password, &account, &mut violations);
        violations.finish()?;

        let pair = Mark::new(ORIGIN, rpc.config.pair_policy(), known.pair, cx.now)
            .map_err(|retry_after| Error::TooManyAttempts { retry_after })?;
        let attempt = Attempt {
            subject,
            pair,
            name: None,
        };
        if rpc.store.count_attempt(&attempt, &cx).await? {
            break (attempt, account, convert::checked(current)?, convert::checked(new)?);
        }
    };
    let hash = account.password_hash;
    match rpc.hashing.verify(current, Some(hash.clone()), call.deadline).await {
        Ok(true) => rpc.store.clear_attempt(&attempt, &rpc.cx(call)).await?,
        Ok(false) => return Err(Error::WrongPassword),
        Err(error) => {
            rpc.store.withdraw_attempt(&attempt, &rpc.cx(call)).await?;
            return Err(error);
        }
    }
    let new = rpc.hashing.hash(new, call.deadline).await?;
    let ended = rpc
        .store
        .change_password(user.id, &hash, &new, Some(user.session_id), &rpc.cx(call))
        .await?;
    // `None`: somebody else has changed it meanwhile, so the current one was wrong after all.
    ended.map(|_| ()).ok_or(Error::WrongPassword)
}
