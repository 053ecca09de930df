//! The audit trail: what has happened to accounts, by the names of OWASP's logging vocabulary.

use time::OffsetDateTime;
use uuid::Uuid;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// An account was opened.
    UserCreated,
    /// The name or the address of an account was changed, or a change was requested or undone.
    UserUpdated,
    /// Somebody has registered with the address of the account, or has requested it for another one.
    AddressClaimed,
    /// An account was closed.
    UserArchived,
    /// A closed account was opened again.
    UserRestored,
    /// An account was deleted for good.
    UserDeleted,
    /// Somebody has signed in.
    LoginSuccess,
    /// A password or a code was wrong.
    LoginFail,
    /// Too many were: further ones are delayed.
    LoginLock,
    /// Somebody has proven once more who they are.
    Reauthenticated,
    /// A used refresh token came again; its session was ended.
    TokenReuse,
    /// Sessions were ended.
    TokenRevoked,
    /// The password was changed or reset.
    PasswordChange,
    /// The current password was wrong when another one was to be set.
    PasswordChangeFail,
    /// A second factor was enrolled, or its recovery codes were renewed.
    SecondFactorChange,
    /// A second factor was removed by its owner, or by the first proof of the address.
    SecondFactorRemove,
    /// The role of an account was changed.
    AuthzChange,
    /// A superuser has changed somebody's account otherwise.
    AuthzAdmin,
    /// The keys that sign tokens were rotated.
    KeyRotation,
    /// A key that signs tokens was revoked.
    KeyRevocation,
}

impl EventKind {
    /// The name, as the store writes it and clients get it.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserCreated => "user_created",
            Self::UserUpdated => "user_updated",
            Self::AddressClaimed => "user_address_claimed",
            Self::UserArchived => "user_archived",
            Self::UserRestored => "user_restored",
            Self::UserDeleted => "user_deleted",
            Self::LoginSuccess => "authn_login_success",
            Self::LoginFail => "authn_login_fail",
            Self::LoginLock => "authn_login_lock",
            Self::Reauthenticated => "authn_reauthenticated",
            Self::TokenReuse => "authn_token_reuse",
            Self::TokenRevoked => "authn_token_revoked",
            Self::PasswordChange => "authn_password_change",
            Self::PasswordChangeFail => "authn_password_change_fail",
            Self::SecondFactorChange => "authn_second_factor_change",
            Self::SecondFactorRemove => "authn_second_factor_remove",
            Self::AuthzChange => "authz_change",
            Self::AuthzAdmin => "authz_admin",
            Self::KeyRotation => "sys_key_rotation",
            Self::KeyRevocation => "sys_key_revocation",
        }
    }
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEvent {
    /// Its id, a UUIDv7.
    pub id: Uuid,
    /// What has happened: [`EventKind::name`], or the name that another version has written.
    pub kind: String,
    /// When.
    pub happened_at: OffsetDateTime,
    /// The account; unset for a name that has none.
    pub account_id: Option<Uuid>,
    /// The session; unset where there is none.
    pub session_id: Option<Uuid>,
    /// Who did it: the id of an account, or the name of a service.
    pub actor: String,
    /// The address of the client.
    pub client_address: String,
    /// Id of the request.
    pub request_id: String,
    /// Id of the trace.
    pub trace_id: String,
    /// What else there is to it, in a word; never a secret.
    pub detail: String,
}

impl SecurityEvent {
    /// Writes it as a log line, to a target of its own. Its write is committed.
    pub fn log(&self) {
        let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        tracing::info!(
            target: "quartet::security",
            event_type = self.kind,
            event_id = %self.id,
            account_id = id(self.account_id),
            session_id = id(self.session_id),
            actor = self.actor,
            client_address = self.client_address,
            request = self.request_id,
            detail = self.detail,
            "security event"
        );
    }
}
