//! IntrospectToken.

use quartet_kernel::{text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::{Call, Caller, User};
use tonic::Code;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    _: &Call,
    request: pb::IntrospectTokenRequest,
) -> Result<pb::IntrospectTokenResponse, Error> {
    let Some(user) = introspect(rpc, &request.token).await? else {
        return Ok(pb::IntrospectTokenResponse::default());
    };
    Ok(pb::IntrospectTokenResponse {
        active: true,
        sub: user.id.to_string(),
        exp: user.expires_at.unix_timestamp(),
        iat: user.issued_at.unix_timestamp(),
        auth_time: user.authenticated_at.unix_timestamp(),
        sid: user.session_id.to_string(),
        role: user.role.name().to_owned(),
        tier: user.tier.unwrap_or_default(),
        token_type: "Bearer".to_owned(),
    })
}

/// The user of an access token; `None` where it does not count, or is of another kind.
pub(super) async fn introspect(rpc: &Rpc, token: &str) -> Result<Option<User>, Error> {
    text::required(token, convert::MAX_JWT).map_err(|rule| violations::one("token", rule))?;
    match rpc.verifier.verify(token).await {
        Ok(Caller::User(user)) => Ok(Some(user)),
        // Nobody knows yet whether its session has ended.
        Err(failure) if failure.code() == Code::Unavailable => Err(failure.into()),
        Ok(Caller::Service(_) | Caller::Anonymous) | Err(_) => Ok(None),
    }
}
