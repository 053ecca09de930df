//! ListUsers.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Key;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListUsersRequest,
) -> Result<pb::ListUsersResponse, Error> {
    let viewer = call.user()?;
    let (list, filter, page) = convert::user_list(&request)?;
    if filter.is_for_superusers() && !viewer.is_superuser() {
        return Err(Error::NotForUsers);
    }
    let rows = rpc.store.list_users(&filter, &page, &rpc.cx(call)).await?;
    let next_page_token = rows.next_token(&list, Key::of);
    Ok(pb::ListUsersResponse {
        total_count: rows.total,
        has_more: rows.has_more,
        page: page.number(),
        items_per_page: page.size,
        next_page_token,
        data: rows.rows.into_iter().map(|user| convert::user(user, viewer)).collect(),
    })
}
