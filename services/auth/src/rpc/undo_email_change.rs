//! UndoEmailChange.

use quartet_kernel::{text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert, verify_email};
use crate::Error;
use crate::domain::MailToken;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::UndoEmailChangeRequest) -> Result<(), Error> {
    text::required(&request.token, convert::MAX_TOKEN).map_err(|rule| violations::one("token", rule))?;
    let token = MailToken::parse(&request.token).ok_or(Error::InvalidUndoToken)?;
    let account = rpc
        .store
        .undo_email_change(token.hash(), &rpc.cx(call))
        .await?
        .ok_or(Error::InvalidUndoToken)?;
    verify_email::show(rpc, call, account).await;
    Ok(())
}
