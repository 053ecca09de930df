//! RevokeToken.

use quartet_kernel::{text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, client, convert};
use crate::Error;
use crate::domain::RefreshToken;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::RevokeTokenRequest) -> Result<(), Error> {
    let client = client::authenticate(rpc, call, &request.client_id, &request.client_secret).await?;
    text::required(&request.token, convert::MAX_JWT).map_err(|rule| violations::one("token", rule))?;
    // A JWT has three parts with dots between them, and no refresh token has a dot.
    if request.token.matches('.').count() == 2 {
        return Err(Error::UnsupportedTokenType);
    }
    if let Some(token) = RefreshToken::parse(&request.token) {
        rpc.store.revoke(&token, client.as_deref(), &rpc.cx(call)).await?;
    }
    Ok(())
}
