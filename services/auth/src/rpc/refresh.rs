//! Refresh.

use quartet_kernel::{Violations, text};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use quartet_telemetry::metrics::AUTH_REFRESH_REUSES;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::RefreshToken;
use crate::store::Rotation;
use crate::tokens::Pair;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::RefreshRequest) -> Result<pb::TokenResponse, Error> {
    let cookie = request.refresh_cookie.as_deref().unwrap_or_default();
    let by_cookie = request.refresh_token.is_empty() && !cookie.is_empty();
    let mut violations = Violations::new();
    let token = if by_cookie {
        violations.check("refresh_cookie", text::required(cookie, convert::MAX_TOKEN))
    } else {
        violations.check(
            "refresh_token",
            text::required(&request.refresh_token, convert::MAX_TOKEN),
        )
    };
    violations.finish()?;
    let pair = exchange(rpc, call, convert::checked(token)?, None).await?;
    Ok(convert::tokens(&pair, None, by_cookie))
}

/// Exchanges a refresh token for the next pair, in the name of the client that it was issued to, if to one.
pub(super) async fn exchange(rpc: &Rpc, call: &Call, token: &str, client: Option<&str>) -> Result<Pair, Error> {
    let token = RefreshToken::parse(token).ok_or(Error::InvalidRefreshToken)?;
    let window = rpc.config.refresh_reuse_window.0;
    let idle = rpc.config.session_idle_timeout.map(|idle| idle.0);
    match rpc.store.rotate(&token, client, window, idle, &rpc.cx(call)).await? {
        Rotation::Exchanged(both) => {
            let (session, account) = *both;
            let successor = token.successor(&session.secret);
            // Events have brought the tier here, so that no other service is called.
            rpc.tokens.pair(&account, &session, account.tier.clone(), successor)
        }
        Rotation::Reused(ended) => {
            metrics::counter!(AUTH_REFRESH_REUSES).increment(1);
            tracing::warn!(session_id = %ended.id, "a used refresh token came again; its session was ended");
            Err(Error::RefreshTokenReused)
        }
        Rotation::EndedByReuse => Err(Error::RefreshTokenReused),
        Rotation::Invalid => Err(Error::InvalidRefreshToken),
    }
}
