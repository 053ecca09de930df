//! RequestPasswordReset.

use quartet_kernel::{Email, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::Rpc;
use crate::Error;
use crate::domain::Purpose;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::RequestPasswordResetRequest>,
) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let email = Email::parse(&request.get_ref().email).map_err(|rule| violations::one("email", rule))?;
    // Whether the address has an account is looked up later, by whoever sends the mail: the answer takes the same way either way.
    rpc.postman.request(call, Purpose::PasswordReset, &email).await?;
    Ok(Response::new(()))
}
