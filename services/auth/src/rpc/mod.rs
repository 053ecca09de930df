//! The RPCs of the service, one file each. This file is their table of contents.

mod change_password;
mod close_account;
pub(crate) mod convert;
mod get_contact;
mod get_jwks;
mod get_me;
mod issue_mail;
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

use quartet_clock::Clock;
use quartet_kernel::text;
use quartet_proto::auth::v1 as pb;
use quartet_proto::auth::v1::auth_service_server::{AuthService, AuthServiceServer};
use quartet_proto::auth::v1::contact_service_server::{ContactService, ContactServiceServer};
use quartet_proto::auth::v1::mail_service_server::{MailService, MailServiceServer};
use quartet_rpc::{Call, Peer};
use quartet_store::Context;
use time::OffsetDateTime;
use tonic::service::RoutesBuilder;
use uuid::Uuid;

use crate::config::Own;
use crate::domain::{Account, MailKey, RefreshToken, Session, TokenHash};
use crate::ended_sessions::EndedSessions;
use crate::hashing::Hashing;
use crate::store::{NewSession, Store};
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
    pub(crate) mail_key: MailKey,
    pub(crate) users: Peer,
}

impl Rpc {
    pub(crate) fn add_to(self, routes: &mut RoutesBuilder) {
        routes
            .add_service(AuthServiceServer::new(self.clone()))
            .add_service(ContactServiceServer::new(self.clone()))
            .add_service(MailServiceServer::new(self));
    }

    /// The circumstances of what `call` does in the store, from now on.
    fn cx(&self, call: &Call) -> Context {
        Context {
            now: self.clock.now(),
            deadline: call.deadline,
            trace: call.trace.clone(),
        }
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

    /// The tokens of a session, with the tier that the users service returns.
    async fn issue(
        &self,
        call: &Call,
        account: &Account,
        session: &Session,
        refresh_token: RefreshToken,
    ) -> Result<Pair, Error> {
        let mut tier = account.tier.clone();
        if let Some(current) = users::ensure(&self.users, call, account).await
            && current != tier
        {
            tier = current;
            if let Err(error) = self.store.set_tier(account.id, tier.as_deref(), &self.cx(call)).await {
                // The token carries it all the same; the next login records it.
                tracing::warn!(%error, account_id = %account.id, "the tier could not be recorded");
            }
        }
        self.tokens.pair(account, session, tier, refresh_token)
    }
}

quartet_rpc::methods! {
    impl AuthService for Rpc {
        register(pb::RegisterRequest) -> pb::RegisterResponse;
        login(pb::LoginRequest) -> pb::TokenResponse;
        token(pb::TokenRequest) -> pb::TokenResponse;
        refresh(pb::RefreshRequest) -> pb::TokenResponse;
        logout(pb::LogoutRequest) -> pb::LogoutResponse;
        logout_all(pb::LogoutAllRequest) -> pb::LogoutResponse;
        list_sessions(pb::ListSessionsRequest) -> pb::ListSessionsResponse;
        revoke_session(pb::RevokeSessionRequest) -> ();
        change_password(pb::ChangePasswordRequest) -> ();
        request_password_reset(pb::RequestPasswordResetRequest) -> ();
        reset_password(pb::ResetPasswordRequest) -> ();
        request_email_verification(pb::RequestEmailVerificationRequest) -> ();
        verify_email(pb::VerifyEmailRequest) -> ();
        get_me(pb::GetMeRequest) -> pb::Account;
        set_role(pb::SetRoleRequest) -> pb::Account;
        set_status(pb::SetStatusRequest) -> pb::Account;
        get_jwks(pb::GetJwksRequest) -> pb::JwkSet;
        update_account(pb::UpdateAccountRequest) -> pb::Account;
        close_account(pb::CloseAccountRequest) -> ();
        reopen_account(pb::ReopenAccountRequest) -> ();
        purge_account(pb::PurgeAccountRequest) -> ();
        watch_revocations(pb::WatchRevocationsRequest) -> stream WatchRevocationsStream;
    }
}

quartet_rpc::methods! {
    impl ContactService for Rpc {
        get_contact(pb::GetContactRequest) -> pb::Contact;
    }
}

quartet_rpc::methods! {
    impl MailService for Rpc {
        issue_mail(pb::IssueMailRequest) -> pb::IssueMailResponse;
    }
}
