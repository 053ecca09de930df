//! The RPCs of the service, one file each. This file is their table of contents.

mod change_password;
mod client;
mod close_account;
mod complete_login;
mod confirm_second_factor;
pub(crate) mod convert;
mod end_sessions;
mod enrol_second_factor;
mod get_contact;
mod get_jwks;
mod get_me;
mod get_second_factor;
mod get_server_metadata;
mod introspect_token;
mod introspect_token_for_client;
mod issue_mail;
mod list_security_events;
mod list_sessions;
mod login;
mod logout;
mod logout_all;
mod open_account;
mod proof;
mod purge_account;
mod reauthenticate;
mod refresh;
mod register;
mod remove_second_factor;
mod renew_recovery_codes;
mod reopen_account;
mod replace_password;
mod request_email_verification;
mod request_password_reset;
mod reset_password;
mod reset_second_factor;
mod revoke_session;
mod revoke_token;
mod set_role;
mod set_status;
mod token;
mod undo_email_change;
mod update_account;
mod verify_email;
mod watch_revocations;

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::{KeptReplies, text};
use quartet_proto::auth::v1 as pb;
use quartet_proto::auth::v1::auth_service_server::{AuthService, AuthServiceServer};
use quartet_proto::auth::v1::contact_service_server::{ContactService, ContactServiceServer};
use quartet_proto::auth::v1::mail_service_server::{MailService, MailServiceServer};
use quartet_proto::auth::v1::o_auth_service_server::{OAuthService, OAuthServiceServer};
use quartet_proto::auth::v1::second_factor_service_server::{SecondFactorService, SecondFactorServiceServer};
use quartet_proto::auth::v1::security_event_service_server::{SecurityEventService, SecurityEventServiceServer};
use quartet_rpc::{Call, Caller, Peer, Verifier};
use quartet_store::{Context, Provenance};
use time::OffsetDateTime;
use tonic::service::RoutesBuilder;
use uuid::Uuid;

use crate::breaches::Breaches;
use crate::config::Own;
use crate::domain::{
    Account, Assurance, Clients, Device, DeviceKey, DeviceToken, FactorKey, MailKey, RefreshToken, Session, TokenHash,
};
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
    /// What links in mails begin with.
    pub(crate) public_url: Arc<str>,
    /// The OAuth 2.0 clients that are configured.
    pub(crate) clients: Arc<Clients>,
    pub(crate) hashing: Hashing,
    /// Knows which passwords are no secret any more.
    pub(crate) breaches: Breaches,
    pub(crate) tokens: Tokens,
    pub(crate) ended: EndedSessions,
    pub(crate) mail_key: MailKey,
    pub(crate) device_key: DeviceKey,
    pub(crate) factor_key: FactorKey,
    pub(crate) users: Peer,
    pub(crate) verifier: Verifier,
    pub(crate) replies: Arc<dyn KeptReplies>,
}

/// Who calls, for the audit trail.
fn provenance(call: &Call) -> Provenance {
    let (actor, session_id) = match &call.caller {
        Caller::Anonymous => (String::new(), None),
        Caller::User(user) => (user.id.to_string(), Some(user.session_id)),
        Caller::Service(name) => (name.clone(), None),
    };
    Provenance {
        actor,
        session_id,
        client_address: call.client_address,
        request_id: text::sanitize(&call.request_id, 128),
    }
}

/// The token of a device, and how long it works.
pub(crate) struct IssuedDevice {
    pub(crate) token: DeviceToken,
    pub(crate) expires_in: Duration,
}

impl IssuedDevice {
    pub(crate) fn seconds(&self) -> i32 {
        i32::try_from(self.expires_in.as_secs()).unwrap_or(i32::MAX)
    }
}

impl Rpc {
    pub(crate) fn add_to(self, routes: &mut RoutesBuilder) {
        routes
            .add_service(AuthServiceServer::new(self.clone()))
            .add_service(ContactServiceServer::new(self.clone()))
            .add_service(OAuthServiceServer::new(self.clone()))
            .add_service(SecurityEventServiceServer::new(self.clone()))
            .add_service(SecondFactorServiceServer::new(self.clone()))
            .add_service(MailServiceServer::new(self));
    }

    /// The circumstances of what `call` does in the store, from now on.
    fn cx(&self, call: &Call) -> Context {
        Context {
            now: self.clock.now(),
            deadline: call.deadline,
            trace: call.trace.clone(),
            scope: call.scope.clone(),
            precondition: None,
            provenance: Some(Arc::new(provenance(call))),
        }
    }

    /// A session that begins now, for the client of `call`.
    fn new_session(
        &self,
        call: &Call,
        account_id: Uuid,
        assurance: Assurance,
        now: OffsetDateTime,
    ) -> (NewSession, RefreshToken) {
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
            authenticated_at: now,
            assurance,
            expires_at: now + self.config.refresh_token_ttl.0,
            client_id: None,
            ended: None,
        };
        let token_hash: TokenHash = token.hash();
        (NewSession { session, token_hash }, token)
    }

    /// The token of the device that `account_id` has signed in on: the one that it came with, or a
    /// new one.
    fn issue_device(&self, account_id: Uuid, device: Option<Device>, now: OffsetDateTime) -> IssuedDevice {
        let device = device
            .filter(|device| device.account_id == account_id)
            .unwrap_or_else(|| Device {
                account_id,
                id: self.clock.new_id(),
            });
        IssuedDevice {
            token: self.device_key.issue(device, now),
            expires_in: self.config.device_token_ttl.0,
        }
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
        reauthenticate(pb::ReauthenticateRequest) -> pb::ReauthenticateResponse;
        list_sessions(pb::ListSessionsRequest) -> pb::ListSessionsResponse;
        revoke_session(pb::RevokeSessionRequest) -> ();
        replace_password(pb::ReplacePasswordRequest) -> pb::TokenResponse;
        change_password(pb::ChangePasswordRequest) -> ();
        request_password_reset(pb::RequestPasswordResetRequest) -> ();
        reset_password(pb::ResetPasswordRequest) -> ();
        request_email_verification(pb::RequestEmailVerificationRequest) -> ();
        verify_email(pb::VerifyEmailRequest) -> ();
        undo_email_change(pb::UndoEmailChangeRequest) -> ();
        get_me(pb::GetMeRequest) -> pb::Account;
        set_role(pb::SetRoleRequest) -> pb::Account;
        set_status(pb::SetStatusRequest) -> pb::Account;
        end_sessions(pb::EndSessionsRequest) -> ();
        get_jwks(pb::GetJwksRequest) -> pb::JwkSet;
        update_account(pb::UpdateAccountRequest) -> pb::Account;
        open_account(pb::OpenAccountRequest) -> pb::Account;
        close_account(pb::CloseAccountRequest) -> ();
        reopen_account(pb::ReopenAccountRequest) -> ();
        purge_account(pb::PurgeAccountRequest) -> ();
        watch_revocations(pb::WatchRevocationsRequest) -> stream WatchRevocationsStream;
    }
}

quartet_rpc::methods! {
    impl OAuthService for Rpc {
        revoke_token(pb::RevokeTokenRequest) -> ();
        introspect_token(pb::IntrospectTokenRequest) -> pb::IntrospectTokenResponse;
        introspect_token_for_client(pb::IntrospectTokenForClientRequest) -> pb::IntrospectTokenForClientResponse;
        get_server_metadata(pb::GetServerMetadataRequest) -> pb::ServerMetadata;
    }
}

quartet_rpc::methods! {
    impl SecurityEventService for Rpc {
        list_security_events(pb::ListSecurityEventsRequest) -> pb::ListSecurityEventsResponse;
    }
}

quartet_rpc::methods! {
    impl SecondFactorService for Rpc {
        get_second_factor(pb::GetSecondFactorRequest) -> pb::SecondFactor;
        enrol_second_factor(pb::EnrolSecondFactorRequest) -> pb::EnrolSecondFactorResponse;
        confirm_second_factor(pb::ConfirmSecondFactorRequest) -> pb::ConfirmSecondFactorResponse;
        renew_recovery_codes(pb::RenewRecoveryCodesRequest) -> pb::RenewRecoveryCodesResponse;
        remove_second_factor(pb::RemoveSecondFactorRequest) -> ();
        reset_second_factor(pb::ResetSecondFactorRequest) -> ();
        complete_login(pb::CompleteLoginRequest) -> pb::TokenResponse;
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
