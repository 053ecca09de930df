//! Token.

use quartet_kernel::{Rule, Violations, text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert, login, refresh};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::TokenRequest>,
) -> Result<Response<pb::TokenResponse>, Error> {
    let call = Call::of(&request)?;
    let asked = request.get_ref();
    let pair = match asked.grant_type.as_str() {
        "password" => login::sign_in(rpc, call, &asked.username, &asked.password, ("username", "password")).await?,
        "refresh_token" => {
            let mut violations = Violations::new();
            violations.check(
                "refresh_token",
                text::required(&asked.refresh_token, convert::MAX_TOKEN),
            );
            violations.finish()?;
            refresh::exchange(rpc, call, &asked.refresh_token).await?
        }
        "" => return Err(violations::one("grant_type", Rule::required()).into()),
        _ => return Err(Error::UnsupportedGrantType),
    };
    Ok(Response::new(convert::tokens(&pair, false)))
}
