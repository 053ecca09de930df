//! RequestPasswordReset.

use quartet_kernel::{Email, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{MailRequest, Purpose};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::RequestPasswordResetRequest) -> Result<(), Error> {
    let email = Email::parse(&request.email).map_err(|rule| violations::one("email", rule))?;
    // Whether the address has an account is looked up later, when the mail is sent: the reply takes
    // the same way either way.
    let request = MailRequest {
        id: rpc.clock.new_id(),
        purpose: Purpose::PasswordReset,
        email_key: email.key(),
        account_id: None,
        requested_by: None,
    };
    let language = convert::language(call);
    rpc.store.request_mails(&[request], language, &rpc.cx(call)).await
}
