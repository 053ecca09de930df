//! The RPCs of the service, one file each. This file is their table of contents.

mod convert;
mod create_rate_limit;
mod create_tier;
mod create_user;
mod delete_profile;
mod delete_rate_limit;
mod delete_tier;
mod delete_user;
mod ensure_user;
mod get_me;
mod get_profile;
mod get_rate_limit;
mod get_tier;
mod get_user;
mod get_user_by_username;
mod get_user_tier;
mod list_rate_limits;
mod list_tiers;
mod list_user_rate_limits;
mod list_users;
mod purge_deleted_users;
mod purge_user;
mod restore_user;
mod set_user_tier;
mod update_profile;
mod update_rate_limit;
mod update_tier;
mod update_user;
mod watch_rate_limits;

use std::sync::Arc;

use quartet_clock::Clock;
use quartet_kernel::KeptReplies;
use quartet_proto::users::v1 as pb;
use quartet_proto::users::v1::tier_service_server::{TierService, TierServiceServer};
use quartet_proto::users::v1::upkeep_service_server::{UpkeepService, UpkeepServiceServer};
use quartet_proto::users::v1::user_service_server::{UserService, UserServiceServer};
use quartet_rpc::Call;
use quartet_store::Context;
use tonic::service::RoutesBuilder;

use crate::accounts::Accounts;
use crate::limit_feed::LimitFeed;
use crate::store::Store;

/// What every RPC works with.
#[derive(Clone)]
pub(crate) struct Rpc {
    store: Arc<dyn Store>,
    accounts: Accounts,
    limits: LimitFeed,
    clock: Clock,
    replies: Arc<dyn KeptReplies>,
}

impl Rpc {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        accounts: Accounts,
        limits: LimitFeed,
        clock: Clock,
        replies: Arc<dyn KeptReplies>,
    ) -> Self {
        Self {
            store,
            accounts,
            limits,
            clock,
            replies,
        }
    }

    pub(crate) fn add_to(self, routes: &mut RoutesBuilder) {
        routes
            .add_service(UserServiceServer::new(self.clone()))
            .add_service(TierServiceServer::new(self.clone()))
            .add_service(UpkeepServiceServer::new(self));
    }

    /// The circumstances of work on the store for `call`.
    fn cx(&self, call: &Call) -> Context {
        Context {
            now: self.clock.now(),
            deadline: call.deadline,
            trace: call.trace.clone(),
            scope: call.scope.clone(),
            precondition: None,
            provenance: None,
        }
    }
}

quartet_rpc::methods! {
    impl UserService for Rpc {
        list_users(pb::ListUsersRequest) -> pb::ListUsersResponse;
        create_user(pb::CreateUserRequest) -> pb::User;
        get_user(pb::GetUserRequest) -> pb::User;
        get_user_by_username(pb::GetUserByUsernameRequest) -> pb::User;
        get_me(pb::GetMeRequest) -> pb::User;
        update_user(pb::UpdateUserRequest) -> pb::User;
        delete_user(pb::DeleteUserRequest) -> ();
        restore_user(pb::RestoreUserRequest) -> pb::User;
        purge_user(pb::PurgeUserRequest) -> ();
        get_profile(pb::GetProfileRequest) -> pb::Profile;
        update_profile(pb::UpdateProfileRequest) -> pb::Profile;
        delete_profile(pb::DeleteProfileRequest) -> ();
        get_user_tier(pb::GetUserTierRequest) -> pb::Tier;
        set_user_tier(pb::SetUserTierRequest) -> pb::User;
        list_user_rate_limits(pb::ListUserRateLimitsRequest) -> pb::ListUserRateLimitsResponse;
        ensure_user(pb::EnsureUserRequest) -> pb::EnsureUserResponse;
    }
}

quartet_rpc::methods! {
    impl TierService for Rpc {
        list_tiers(pb::ListTiersRequest) -> pb::ListTiersResponse;
        get_tier(pb::GetTierRequest) -> pb::Tier;
        create_tier(pb::CreateTierRequest) -> pb::Tier;
        update_tier(pb::UpdateTierRequest) -> pb::Tier;
        delete_tier(pb::DeleteTierRequest) -> ();
        list_rate_limits(pb::ListRateLimitsRequest) -> pb::ListRateLimitsResponse;
        get_rate_limit(pb::GetRateLimitRequest) -> pb::RateLimit;
        create_rate_limit(pb::CreateRateLimitRequest) -> pb::RateLimit;
        update_rate_limit(pb::UpdateRateLimitRequest) -> pb::RateLimit;
        delete_rate_limit(pb::DeleteRateLimitRequest) -> ();
        watch_rate_limits(pb::WatchRateLimitsRequest) -> stream WatchRateLimitsStream;
    }
}

quartet_rpc::methods! {
    impl UpkeepService for Rpc {
        purge_deleted_users(pb::PurgeDeletedUsersRequest) -> pb::PurgeDeletedUsersResponse;
    }
}
