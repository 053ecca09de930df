//! The RPCs of the service, one file each. This file is their table of contents.

mod convert;
mod create_rate_limit;
mod create_tier;
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
mod permit;
mod purge_deleted_users;
mod purge_user;
mod restore_user;
mod set_user_tier;
mod to_its_end;
mod update_profile;
mod update_rate_limit;
mod update_tier;
mod update_user;

use std::sync::Arc;

use async_trait::async_trait;
use quartet_clock::Clock;
use quartet_proto::users::v1 as pb;
use quartet_proto::users::v1::tier_service_server::{TierService, TierServiceServer};
use quartet_proto::users::v1::upkeep_service_server::{UpkeepService, UpkeepServiceServer};
use quartet_proto::users::v1::user_service_server::{UserService, UserServiceServer};
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};

use crate::auth_accounts::AuthAccounts;
use crate::store::Store;

/// What every RPC works with.
#[derive(Clone)]
pub(crate) struct Rpc {
    store: Arc<dyn Store>,
    accounts: AuthAccounts,
    clock: Clock,
}

impl Rpc {
    pub(crate) fn new(store: Arc<dyn Store>, accounts: AuthAccounts, clock: Clock) -> Self {
        Self { store, accounts, clock }
    }

    pub(crate) fn add_to(self, routes: &mut RoutesBuilder) {
        routes
            .add_service(UserServiceServer::new(self.clone()))
            .add_service(TierServiceServer::new(self.clone()))
            .add_service(UpkeepServiceServer::new(self));
    }
}

#[async_trait]
impl UserService for Rpc {
    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        Ok(list_users::handle(self, request).await?)
    }

    async fn get_user(&self, request: Request<pb::GetUserRequest>) -> Result<Response<pb::User>, Status> {
        Ok(get_user::handle(self, request).await?)
    }

    async fn get_user_by_username(
        &self,
        request: Request<pb::GetUserByUsernameRequest>,
    ) -> Result<Response<pb::User>, Status> {
        Ok(get_user_by_username::handle(self, request).await?)
    }

    async fn get_me(&self, request: Request<pb::GetMeRequest>) -> Result<Response<pb::User>, Status> {
        Ok(get_me::handle(self, request).await?)
    }

    async fn update_user(&self, request: Request<pb::UpdateUserRequest>) -> Result<Response<pb::User>, Status> {
        Ok(update_user::handle(self, request).await?)
    }

    async fn delete_user(&self, request: Request<pb::DeleteUserRequest>) -> Result<Response<()>, Status> {
        Ok(delete_user::handle(self, request).await?)
    }

    async fn restore_user(&self, request: Request<pb::RestoreUserRequest>) -> Result<Response<pb::User>, Status> {
        Ok(restore_user::handle(self, request).await?)
    }

    async fn purge_user(&self, request: Request<pb::PurgeUserRequest>) -> Result<Response<()>, Status> {
        Ok(purge_user::handle(self, request).await?)
    }

    async fn get_profile(&self, request: Request<pb::GetProfileRequest>) -> Result<Response<pb::Profile>, Status> {
        Ok(get_profile::handle(self, request).await?)
    }

    async fn update_profile(
        &self,
        request: Request<pb::UpdateProfileRequest>,
    ) -> Result<Response<pb::Profile>, Status> {
        Ok(update_profile::handle(self, request).await?)
    }

    async fn delete_profile(&self, request: Request<pb::DeleteProfileRequest>) -> Result<Response<()>, Status> {
        Ok(delete_profile::handle(self, request).await?)
    }

    async fn get_user_tier(&self, request: Request<pb::GetUserTierRequest>) -> Result<Response<pb::Tier>, Status> {
        Ok(get_user_tier::handle(self, request).await?)
    }

    async fn set_user_tier(&self, request: Request<pb::SetUserTierRequest>) -> Result<Response<pb::User>, Status> {
        Ok(set_user_tier::handle(self, request).await?)
    }

    async fn list_user_rate_limits(
        &self,
        request: Request<pb::ListUserRateLimitsRequest>,
    ) -> Result<Response<pb::ListUserRateLimitsResponse>, Status> {
        Ok(list_user_rate_limits::handle(self, request).await?)
    }

    async fn ensure_user(
        &self,
        request: Request<pb::EnsureUserRequest>,
    ) -> Result<Response<pb::EnsureUserResponse>, Status> {
        Ok(ensure_user::handle(self, request).await?)
    }
}

#[async_trait]
impl TierService for Rpc {
    async fn list_tiers(
        &self,
        request: Request<pb::ListTiersRequest>,
    ) -> Result<Response<pb::ListTiersResponse>, Status> {
        Ok(list_tiers::handle(self, request).await?)
    }

    async fn get_tier(&self, request: Request<pb::GetTierRequest>) -> Result<Response<pb::Tier>, Status> {
        Ok(get_tier::handle(self, request).await?)
    }

    async fn create_tier(&self, request: Request<pb::CreateTierRequest>) -> Result<Response<pb::Tier>, Status> {
        Ok(create_tier::handle(self, request).await?)
    }

    async fn update_tier(&self, request: Request<pb::UpdateTierRequest>) -> Result<Response<pb::Tier>, Status> {
        Ok(update_tier::handle(self, request).await?)
    }

    async fn delete_tier(&self, request: Request<pb::DeleteTierRequest>) -> Result<Response<()>, Status> {
        Ok(delete_tier::handle(self, request).await?)
    }

    async fn list_rate_limits(
        &self,
        request: Request<pb::ListRateLimitsRequest>,
    ) -> Result<Response<pb::ListRateLimitsResponse>, Status> {
        Ok(list_rate_limits::handle(self, request).await?)
    }

    async fn get_rate_limit(
        &self,
        request: Request<pb::GetRateLimitRequest>,
    ) -> Result<Response<pb::RateLimit>, Status> {
        Ok(get_rate_limit::handle(self, request).await?)
    }

    async fn create_rate_limit(
        &self,
        request: Request<pb::CreateRateLimitRequest>,
    ) -> Result<Response<pb::RateLimit>, Status> {
        Ok(create_rate_limit::handle(self, request).await?)
    }

    async fn update_rate_limit(
        &self,
        request: Request<pb::UpdateRateLimitRequest>,
    ) -> Result<Response<pb::RateLimit>, Status> {
        Ok(update_rate_limit::handle(self, request).await?)
    }

    async fn delete_rate_limit(&self, request: Request<pb::DeleteRateLimitRequest>) -> Result<Response<()>, Status> {
        Ok(delete_rate_limit::handle(self, request).await?)
    }
}

#[async_trait]
impl UpkeepService for Rpc {
    async fn purge_deleted_users(
        &self,
        request: Request<pb::PurgeDeletedUsersRequest>,
    ) -> Result<Response<pb::PurgeDeletedUsersResponse>, Status> {
        Ok(purge_deleted_users::handle(self, request).await?)
    }
}
