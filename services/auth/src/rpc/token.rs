//! Token.

use quartet_kernel::{Rule, Violations, text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert, login, refresh};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::TokenRequest) -> Result<pb::TokenResponse, Error> {
    let pair = match request.grant_type.as_str() {
        "password" => {
            login::sign_in(
                rpc,
                call,
                &request.username,
                &request.password,
                ("username", "password"),
            )
            .await?
        }
        "refresh_token" => {
            let mut violations = Violations::new();
            violations.check(
                "refresh_token",
                text::required(&request.refresh_token, convert::MAX_TOKEN),
            );
            violations.finish()?;
            refresh::exchange(rpc, call, &request.refresh_token).await?
        }
        "" => return Err(violations::one("grant_type", Rule::required()).into()),
        _ => return Err(Error::UnsupportedGrantType),
    };
    Ok(convert::tokens(&pair, false))
}
