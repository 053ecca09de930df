//! Rows as the databases give them.

use quartet_kernel::Role;
use quartet_store::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use crate::Error;
use crate::domain::{Account, EndReason, PasswordHash, Session, SigningKey};

/// A row that holds what no version of this suite has written.
fn unreadable(what: &str) -> Error {
    sqlx::Error::Decode(what.to_owned().into()).into()
}

#[derive(FromRow)]
pub(super) struct AccountRow {
    id: Uuid,
    username: String,
    email: String,
    email_verified: bool,
    pending_email: Option<String>,
    name: String,
    password_hash: String,
    role: String,
    disabled: bool,
    closed: bool,
    tier: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<AccountRow> for Account {
    type Error = Error;

    fn try_from(row: AccountRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            username: row.username,
            email: row.email,
            email_verified: row.email_verified,
            pending_email: row.pending_email,
            name: row.name,
            password_hash: PasswordHash::stored(row.password_hash),
            role: Role::from_name(&row.role).ok_or_else(|| unreadable("accounts.role"))?,
            disabled: row.disabled,
            closed: row.closed,
            tier: row.tier,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

#[derive(FromRow)]
pub(super) struct SessionRow {
    id: Uuid,
    account_id: Uuid,
    secret: Vec<u8>,
    user_agent: String,
    ip_address: String,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    end_reason: Option<String>,
}

impl TryFrom<SessionRow> for Session {
    type Error = Error;

    fn try_from(row: SessionRow) -> Result<Self, Error> {
        let ended = row
            .end_reason
            .map(|name| EndReason::from_name(&name).ok_or_else(|| unreadable("sessions.end_reason")));
        Ok(Self {
            id: row.id,
            account_id: row.account_id,
            secret: row.secret.try_into().map_err(|_| unreadable("sessions.secret"))?,
            user_agent: row.user_agent,
            ip_address: row.ip_address,
            created_at: row.created_at.into(),
            last_used_at: row.last_used_at.into(),
            expires_at: row.expires_at.into(),
            ended: ended.transpose()?,
        })
    }
}

#[derive(FromRow)]
pub(super) struct KeyRow {
    kid: String,
    algorithm: String,
    private_key: Vec<u8>,
    created_at: Timestamp,
    active_at: Timestamp,
    retired_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl TryFrom<KeyRow> for SigningKey {
    type Error = Error;

    fn try_from(row: KeyRow) -> Result<Self, Error> {
        Ok(Self {
            kid: row.kid,
            algorithm: row
                .algorithm
                .parse()
                .map_err(|_| unreadable("signing_keys.algorithm"))?,
            private_key: row.private_key,
            created_at: row.created_at.into(),
            active_at: row.active_at.into(),
            retired_at: row.retired_at.map(Into::into),
            expires_at: row.expires_at.map(Into::into),
        })
    }
}
