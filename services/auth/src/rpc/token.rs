//! Token.

use quartet_kernel::{Rule, Violations, text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, client, complete_login, convert, login, refresh};
use crate::Error;

/// The grants that it takes.
pub(super) const GRANTS: [&str; 3] = ["password", "refresh_token", "urn:quartet:grant-type:mfa-otp"];

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::TokenRequest) -> Result<pb::TokenResponse, Error> {
    let client = client::authenticate(rpc, call, &request.client_id, &request.client_secret).await?;
    match request.grant_type.as_str() {
        "password" => {
            let credentials = login::Credentials {
                name: ("username", &request.username),
                password: ("password", &request.password),
                device_token: ("device_token", &request.device_token),
                client,
            };
            let (pair, device) = login::sign_in(rpc, call, credentials).await?;
            Ok(convert::tokens(&pair, Some(&device), false))
        }
        "refresh_token" => {
            let mut violations = Violations::new();
            violations.check(
                "refresh_token",
                text::required(&request.refresh_token, convert::MAX_TOKEN),
            );
            violations.finish()?;
            let pair = refresh::exchange(rpc, call, &request.refresh_token, client.as_deref()).await?;
            Ok(convert::tokens(&pair, None, false))
        }
        "urn:quartet:grant-type:mfa-otp" => {
            let code = complete_login::Code {
                challenge: ("mfa_token", &request.mfa_token),
                code: ("otp", &request.otp),
                device_token: ("device_token", &request.device_token),
                client,
            };
            let (pair, device) = complete_login::complete(rpc, call, code).await?;
            Ok(convert::tokens(&pair, Some(&device), false))
        }
        "" => Err(violations::one("grant_type", Rule::required()).into()),
        _ => Err(Error::UnsupportedGrantType),
    }
}
