//! The users service, as far as auth needs it: it makes the user of an account and returns their
//! tier.

use std::time::Duration;

use quartet_kernel::{Deadline, Role};
use quartet_proto::users::v1 as pb;
use quartet_proto::users::v1::user_service_client::UserServiceClient;
use quartet_rpc::{Call, Peer, timestamp};

use crate::domain::Account;

/// A login does not wait longer than this for the users service.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Has the users service make or update the account's user; returns their tier. Best effort: `None`
/// when users is away or slow, which must not keep anybody from signing in.
pub(crate) async fn ensure(users: &Peer, call: &Call, account: &Account) -> Option<Option<String>> {
    let timeout = TIMEOUT.min(call.deadline.remaining() / 2);
    let call = Call {
        deadline: Deadline::after(timeout),
        ..call.clone()
    };
    let message = pb::EnsureUserRequest {
        account_id: account.id.to_string(),
        name: account.name.clone(),
        username: account.username.clone(),
        email: account.email.clone(),
        role: match account.role {
            Role::User => pb::UserRole::RoleUser,
            Role::Superuser => pb::UserRole::RoleSuperuser,
        } as i32,
        account_updated_at: Some(timestamp::to_proto(account.updated_at)),
    };
    let request = users.request(&call, message).ok()?;
    let mut client = UserServiceClient::new(users.upstream());
    match call.deadline.bound(client.ensure_user(request)).await {
        Ok(Ok(reply)) => Some(reply.into_inner().tier),
        Ok(Err(status)) => {
            tracing::warn!(account_id = %account.id, %status, "the user could not be made; the next login tries again");
            None
        }
        Err(_) => {
            tracing::warn!(account_id = %account.id, "the users service is slow; the next login tries again");
            None
        }
    }
}
