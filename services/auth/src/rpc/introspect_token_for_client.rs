//! IntrospectTokenForClient.

use quartet_kernel::{text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::{Call, Caller};

use super::{Rpc, client, convert, introspect_token};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::IntrospectTokenForClientRequest,
) -> Result<pb::IntrospectTokenForClientResponse, Error> {
    text::required(&request.token, convert::MAX_JWT).map_err(|rule| violations::one("token", rule))?;
    if !matches!(call.caller, Caller::Service(_)) {
        let client = client::authenticate(rpc, call, &request.client_id, &request.client_secret).await?;
        // Whoever may introspect has proven it (RFC 7662 §2.1): a public client cannot.
        if !client.is_some_and(|client| rpc.clients.is_confidential(&client)) {
            return Err(Error::InvalidClient);
        }
    }
    let token = introspect_token::introspect(rpc, &request.token).await?;
    let Some(user) = token else {
        return Ok(pb::IntrospectTokenForClientResponse::default());
    };
    let seconds = |time: time::OffsetDateTime| u32::try_from(time.unix_timestamp()).ok();
    Ok(pb::IntrospectTokenForClientResponse {
        active: true,
        sub: Some(user.id.to_string()),
        exp: seconds(user.expires_at),
        iat: seconds(user.issued_at),
        auth_time: seconds(user.authenticated_at),
        sid: Some(user.session_id.to_string()),
        role: Some(user.role.name().to_owned()),
        tier: user.tier,
        token_type: Some("Bearer".to_owned()),
        iss: Some(rpc.tokens.issuer.clone()),
        aud: Some(rpc.tokens.audience.clone()),
        client_id: Some(user.client_id.to_string()),
    })
}
