//! GetSecondFactor.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::{Call, timestamp};

use super::Rpc;
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, _: pb::GetSecondFactorRequest) -> Result<pb::SecondFactor, Error> {
    let found = rpc.store.find_second_factor(call.user()?.id, &rpc.cx(call)).await?;
    let confirmed = found.and_then(|factor| Some((factor.confirmed_at?, factor.recovery_codes.len())));
    Ok(match confirmed {
        None => pb::SecondFactor::default(),
        Some((confirmed_at, left)) => pb::SecondFactor {
            enabled: true,
            confirmed_at: Some(timestamp::to_proto(confirmed_at)),
            recovery_codes_left: i32::try_from(left).unwrap_or(i32::MAX),
        },
    })
}
