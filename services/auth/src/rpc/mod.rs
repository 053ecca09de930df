//! The RPCs of the service, one file each. This file is their table of contents.

mod change_password;
mod close_account;
pub(crate) mod convert;
mod get_contact;
mod get_jwks;
mod get_me;
mod list_sessions;
mod login;
mod logout;
mod logout_all;
mod purge_account;
mod refresh;
mod register;
mod reopen_account;
mod request_email_verification;
mod request_password_reset;
mod reset_password;
mod revoke_session;
mod set_role;
mod set_status;
mod token;
mod update_account;
mod verify_email;
mod watch_revocations;

use std::sync::Arc;

use async_trait::async_trait;
use quartet_clock::Clock;
use quartet_kernel::text;
use quartet_proto::auth::v1 as pb;
use quartet_proto::auth::v1::auth_service_server::{AuthService, AuthServiceServer};
use quartet_proto::auth::v1::contact_service_server::ContactServiceServer;
use quartet_rpc::{Call, Peer};
use time::OffsetDateTime;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::config::Own;
use crate::domain::{Account, EndReason, RefreshToken, Session, TokenHash};
use crate::ended_sessions::EndedSessions;
use crate::hashing::Hashing;
use crate::mail::Postman;
use crate::store::{Ending, NewSession, Store};
use crate::tokens::{Pair, Tokens};
use crate::{Error, users};

/// What every RPC works with.
#[derive(Clone)]
pub(crate) struct Rpc {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) config: Arc<Own>,
    pub(crate) hashing: Hashing,
    pub(crate) tokens: Tokens,
    pub(crate) ended: EndedSessions,
    pub(crate) postman: Postman,
    pub(crate) users: Peer,
}

impl Rpc {
    pub(crate) fn add_to(self, routes: &mut RoutesBuilder) {
        routes
            .add_service(AuthServiceServer::new(self.clone()))
            .add_service(ContactServiceServer::new(self));
    }

    /// A session that begins now, for the client of `call`.
    fn new_session(&self, call: &Call, account_id: Uuid, now: OffsetDateTime) -> (NewSession, RefreshToken) {
        let token = RefreshToken::draw(&self.clock);
        let session = Session {
            id: self.clock.new_id(),
            account_id,
            secret: self.clock.random(),
            user_agent: text::sanitize(&call.user_agent, 512),
            ip_address: call
                .client_address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            created_at: now,
            last_used_at: now,
            expires_at: now + self.config.refresh_token_ttl.0,
            ended: None,
        };
        let token_hash: TokenHash = token.hash();
        (NewSession { session, token_hash }, token)
    }

    /// The tokens of a session, after the users service was asked for the user's tier.
    async fn issue(
        &self,
        call: &Call,
        account: &Account,
        session: &Session,
        refresh_token: RefreshToken,
    ) -> Result<Pair, Error> {
        let mut tier = account.tier.clone();
        if let Some(told) = users::ensure(&self.users, call, account).await
            && told != tier
        {
            tier = told;
            if let Err(error) = self.store.set_tier(account.id, tier.as_deref(), call.deadline).await {
                // The token carries it all the same; the next login notes it.
                tracing::warn!(%error, account_id = %account.id, "the tier could not be noted");
            }
        }
        self.tokens.pair(account, session, tier, refresh_token)
    }

    /// The end of sessions, now.
    fn ending(&self, reason: EndReason) -> Ending {
        let now = self.clock.now();
        Ending {
            reason,
            now,
            forget_at: now + self.config.revocation_life(),
        }
    }
}

#[async_trait]
impl AuthService for Rpc {
    async fn register(&self, request: Request<pb::RegisterRequest>) -> Result<Response<pb::RegisterResponse>, Status> {
        Ok(register::handle(self, request).await?)
    }

    async fn login(&self, request: Request<pb::LoginRequest>) -> Result<Response<pb::TokenResponse>, Status> {
        Ok(login::handle(self, request).await?)
    }

    async fn token(&self, request: Request<pb::TokenRequest>) -> Result<Response<pb::TokenResponse>, Status> {
        Ok(token::handle(self, request).await?)
    }

    async fn refresh(&self, request: Request<pb::RefreshRequest>) -> Result<Response<pb::TokenResponse>, Status> {
        Ok(refresh::handle(self, request).await?)
    }

    async fn logout(&self, request: Request<pb::LogoutRequest>) -> Result<Response<pb::LogoutResponse>, Status> {
        Ok(logout::handle(self, request).await?)
    }

    async fn logout_all(&self, request: Request<pb::LogoutAllRequest>) -> Result<Response<pb::LogoutResponse>, Status> {
        Ok(logout_all::handle(self, request).await?)
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Status> {
        Ok(list_sessions::handle(self, request).await?)
    }

    async fn revoke_session(&self, request: Request<pb::RevokeSessionRequest>) -> Result<Response<()>, Status> {
        Ok(revoke_session::handle(self, request).await?)
    }

    async fn change_password(&self, request: Request<pb::ChangePasswordRequest>) -> Result<Response<()>, Status> {
        Ok(change_password::handle(self, request).await?)
    }

    async fn request_password_reset(
        &self,
        request: Request<pb::RequestPasswordResetRequest>,
    ) -> Result<Response<()>, Status> {
        Ok(request_password_reset::handle(self, request).await?)
    }

    async fn reset_password(&self, request: Request<pb::ResetPasswordRequest>) -> Result<Response<()>, Status> {
        Ok(reset_password::handle(self, request).await?)
    }

    async fn request_email_verification(
        &self,
        request: Request<pb::RequestEmailVerificationRequest>,
    ) -> Result<Response<()>, Status> {
        Ok(request_email_verification::handle(self, request).await?)
    }

    async fn verify_email(&self, request: Request<pb::VerifyEmailRequest>) -> Result<Response<()>, Status> {
        Ok(verify_email::handle(self, request).await?)
    }

    async fn get_me(&self, request: Request<pb::GetMeRequest>) -> Result<Response<pb::Account>, Status> {
        Ok(get_me::handle(self, request).await?)
    }

    async fn set_role(&self, request: Request<pb::SetRoleRequest>) -> Result<Response<pb::Account>, Status> {
        Ok(set_role::handle(self, request).await?)
    }

    async fn set_status(&self, request: Request<pb::SetStatusRequest>) -> Result<Response<pb::Account>, Status> {
        Ok(set_status::handle(self, request).await?)
    }

    async fn get_jwks(&self, request: Request<pb::GetJwksRequest>) -> Result<Response<pb::JwkSet>, Status> {
        Ok(get_jwks::handle(self, request).await?)
    }

    async fn update_account(
        &self,
        request: Request<pb::UpdateAccountRequest>,
    ) -> Result<Response<pb::Account>, Status> {
        Ok(update_account::handle(self, request).await?)
    }

    async fn close_account(&self, request: Request<pb::CloseAccountRequest>) -> Result<Response<()>, Status> {
        Ok(close_account::handle(self, request).await?)
    }

    async fn reopen_account(&self, request: Request<pb::ReopenAccountRequest>) -> Result<Response<()>, Status> {
        Ok(reopen_account::handle(self, request).await?)
    }

    async fn purge_account(&self, request: Request<pb::PurgeAccountRequest>) -> Result<Response<()>, Status> {
        Ok(purge_account::handle(self, request).await?)
    }

    type WatchRevocationsStream = watch_revocations::Stream;

    async fn watch_revocations(
        &self,
        request: Request<pb::WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        Ok(watch_revocations::handle(self, request).await?)
    }
}
