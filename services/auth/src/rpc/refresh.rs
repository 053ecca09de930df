//! Refresh.

use quartet_kernel::{Violations, text};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{EndReason, RefreshToken};
use crate::store::Rotation;
use crate::tokens::Pair;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::RefreshRequest>,
) -> Result<Response<pb::TokenResponse>, Error> {
    let call = Call::of(&request)?;
    let asked = request.get_ref();
    let cookie = asked.refresh_cookie.as_deref().unwrap_or_default();
    let by_cookie = asked.refresh_token.is_empty() && !cookie.is_empty();
    let mut violations = Violations::new();
    let token = if by_cookie {
        violations.check("refresh_cookie", text::required(cookie, convert::MAX_TOKEN))
    } else {
        violations.check(
            "refresh_token",
            text::required(&asked.refresh_token, convert::MAX_TOKEN),
        )
    };
    violations.finish()?;
    let pair = exchange(rpc, call, convert::checked(token)?).await?;
    Ok(Response::new(convert::tokens(&pair, by_cookie)))
}

/// Exchanges a refresh token for the next pair.
pub(super) async fn exchange(rpc: &Rpc, call: &Call, token: &str) -> Result<Pair, Error> {
    let token = RefreshToken::parse(token).ok_or(Error::InvalidRefreshToken)?;
    let window = rpc.config.refresh_reuse_window.0;
    let ending = rpc.ending(EndReason::Reuse);
    match rpc.store.rotate(&token, window, ending, call.deadline).await? {
        Rotation::Exchanged(both) => {
            let (session, account) = *both;
            let successor = token.successor(&session.secret);
            rpc.issue(call, &account, &session, successor).await
        }
        Rotation::Reused(ended) => {
            tracing::warn!(session_id = %ended.id, "a used refresh token came again; its session was ended");
            rpc.ended.tell(vec![ended]);
            Err(Error::RefreshTokenReused)
        }
        Rotation::EndedByReuse => Err(Error::RefreshTokenReused),
        Rotation::Invalid => Err(Error::InvalidRefreshToken),
    }
}
