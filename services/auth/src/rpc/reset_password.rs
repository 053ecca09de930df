//! ResetPassword.

use quartet_kernel::{Violations, text};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{EndReason, MailToken, Owner, Password, Purpose};

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::ResetPasswordRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let asked = request.get_ref();
    let mut violations = Violations::new();
    violations.check("token", text::required(&asked.token, convert::MAX_TOKEN));
    // What can be told without the account; a weak password is told of whatever the token is.
    violations.check("new_password", Password::chosen(&asked.new_password, &Owner::default()));
    violations.finish()?;
    let token = MailToken::parse(&asked.token).ok_or(Error::InvalidResetToken)?.hash();
    let now = rpc.clock.now();
    let account = rpc
        .store
        .find_mail_token(token, Purpose::PasswordReset, now, call.deadline)
        .await?
        .ok_or(Error::InvalidResetToken)?;

    // A weak password does not use the token up.
    let mut violations = Violations::new();
    let new = convert::new_password("new_password", &asked.new_password, &account, &mut violations);
    violations.finish()?;
    let new = rpc.hashing.hash(convert::checked(new)?, call.deadline).await?;
    let ended = rpc
        .store
        .reset_password(token, &new, rpc.ending(EndReason::Password), call.deadline)
        .await?;
    rpc.ended.tell(ended.ok_or(Error::InvalidResetToken)?);
    Ok(Response::new(()))
}
