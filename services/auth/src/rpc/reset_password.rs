//! ResetPassword.

use quartet_kernel::{Violations, text};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::throttle::origin;
use crate::domain::{MailToken, Owner, Password, Purpose};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::ResetPasswordRequest) -> Result<(), Error> {
    let mut violations = Violations::new();
    violations.check("token", text::required(&request.token, convert::MAX_TOKEN));
    // What can be checked without the account: a weak password is refused whatever the token is.
    violations.check(
        "new_password",
        Password::chosen(&request.new_password, &Owner::default()),
    );
    violations.finish()?;
    let token = MailToken::parse(&request.token).ok_or(Error::InvalidResetToken)?.hash();
    let account = rpc
        .store
        .find_mail_token(token, Purpose::PasswordReset, &rpc.cx(call))
        .await?
        .ok_or(Error::InvalidResetToken)?;

    // A weak password does not use the token up.
    let mut violations = Violations::new();
    let new = convert::new_password("new_password", &request.new_password, &account, &mut violations);
    violations.finish()?;
    let new = convert::checked(new)?;
    rpc.breaches.check("new_password", &new, call.deadline).await?;
    let origin = origin(call.client_address);
    let new = rpc.hashing.hash(new, &origin, call.deadline).await?;
    let ended = rpc
        .store
        .reset_password(token, &new, convert::language(call), &rpc.cx(call))
        .await?;
    ended.map(|_| ()).ok_or(Error::InvalidResetToken)
}
