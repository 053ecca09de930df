//! VerifyEmail.

use quartet_kernel::{text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::domain::MailToken;
use crate::{Error, users};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::VerifyEmailRequest) -> Result<(), Error> {
    text::required(&request.token, convert::MAX_TOKEN).map_err(|rule| violations::one("token", rule))?;
    let token = MailToken::parse(&request.token).ok_or(Error::InvalidVerificationToken)?;
    let proven = rpc
        .store
        .verify_email(token.hash(), &rpc.cx(call))
        .await?
        .ok_or(Error::InvalidVerificationToken)?;
    if proven.moved {
        // Best effort, so that the user's copy shows the address at once; the next login does it
        // otherwise.
        users::ensure(&rpc.users, call, &proven.account).await;
    }
    Ok(())
}
