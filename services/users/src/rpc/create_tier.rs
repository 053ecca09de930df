//! CreateTier.

use quartet_kernel::violations;
use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{Tier, TierName};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::CreateTierRequest) -> Result<pb::Tier, Error> {
    let name = TierName::parse(&request.name).map_err(|rule| violations::one("name", rule))?;
    let now = rpc.clock.now();
    let tier = Tier {
        id: rpc.clock.new_id(),
        name: name.as_str().to_owned(),
        created_at: now,
        updated_at: now,
    };
    match rpc.store.insert_tier(&tier, &rpc.cx(call)).await? {
        true => Ok(convert::tier(tier)),
        false => Err(Error::TierNameTaken { name: tier.name }),
    }
}
