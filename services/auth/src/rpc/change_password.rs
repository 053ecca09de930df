//! ChangePassword.

use quartet_kernel::Violations;
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::throttle::Subject;
use crate::domain::{EndReason, Password};

/// A stolen access token must not serve to guess the password, from whatever address: all of them count as one, and logins with it, too.
pub(super) const ORIGIN: &str = "password:change";

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::ChangePasswordRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let user = call.user()?;
    let account = rpc.store.find_account(user.id, call.deadline).await?;
    let account = account.ok_or(Error::AccountNotFound { id: user.id })?;

    let asked = request.get_ref();
    let mut violations = Violations::new();
    let current = violations.check("current_password", Password::offered(&asked.current_password));
    let new = convert::new_password("new_password", &asked.new_password, &account, &mut violations);
    violations.finish()?;
    let (current, new) = (convert::checked(current)?, convert::checked(new)?);

    let (subject, now) = (Subject::of(&user.id.to_string()), rpc.clock.now());
    let attempt = rpc
        .store
        .begin_attempt(subject, ORIGIN, rpc.config.pair_policy(), None, now, call.deadline)
        .await?
        .map_err(|retry_after| Error::TooManyAttempts { retry_after })?;
    let hash = account.password_hash;
    match rpc.hashing.verify(current, Some(hash.clone()), call.deadline).await {
        Ok(true) => rpc.store.attempt_succeeded(&attempt, call.deadline).await?,
        Ok(false) => return Err(Error::WrongPassword),
        Err(error) => {
            rpc.store.withdraw_attempt(&attempt, call.deadline).await?;
            return Err(error);
        }
    }
    let new = rpc.hashing.hash(new, call.deadline).await?;
    let ending = rpc.ending(EndReason::Password);
    let ended = rpc
        .store
        .change_password(user.id, &hash, &new, Some(user.session_id), ending, call.deadline)
        .await?;
    // `None`: somebody else has changed it meanwhile, so the current one was wrong after all.
    rpc.ended.tell(ended.ok_or(Error::WrongPassword)?);
    Ok(Response::new(()))
}
