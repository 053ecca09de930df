//! VerifyEmail.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::{Call, violations};
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{MailToken, text};

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::VerifyEmailRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let token = &request.get_ref().token;
    text::required(token, convert::MAX_TOKEN).map_err(|rule| violations::one("token", rule))?;
    let token = MailToken::parse(token).ok_or(Error::InvalidVerificationToken)?;
    if rpc
        .store
        .verify_email(token.hash(), rpc.clock.now(), call.deadline)
        .await?
    {
        Ok(Response::new(()))
    } else {
        Err(Error::InvalidVerificationToken)
    }
}
