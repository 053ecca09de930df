//! Proto ↔ domain: the one place where the two meet. Past it, nobody checks a field again.

pub(crate) mod jwk;

use quartet_kernel::{
    DisplayName, Email, Fault, InvalidFields, Language, Role, Rule, Username, Violations, id, text, violations,
};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::{Call, timestamp};
use uuid::Uuid;

use super::IssuedDevice;
use crate::domain::{Account, EndedSession, Owner, Password, Session, Status};
use crate::tokens::Pair;

/// Characters of an access token at the most.
pub(crate) const MAX_JWT: usize = 4_096;
/// Characters of a refresh token or a token from a mail at the most.
pub(crate) const MAX_TOKEN: usize = 512;

/// Characters of a code of a second factor at the most.
pub(crate) const MAX_CODE: usize = 64;

/// Kind of the access tokens (RFC 6750).
pub(crate) const BEARER: &str = "bearer";

pub(crate) fn id(field: &str, text: &str) -> Result<Uuid, InvalidFields> {
    id::parse(text).map_err(|rule| violations::one(field, rule))
}

/// The languages that a caller prefers, in the form of `Accept-Language`.
pub(crate) fn languages(call: &Call) -> String {
    text::sanitize(&call.accept_language, 100)
}

/// The language that mails to a caller are written in.
pub(crate) fn language(call: &Call) -> Language {
    Language::preferred(&languages(call))
}

/// The value of a field that has passed its check; its absence would be a mistake in this file.
pub(crate) fn checked<T>(value: Option<T>) -> Result<T, Fault> {
    value.ok_or(Fault::Internal)
}

/// A password to be set by the owner of `account`.
pub(crate) fn new_password(
    field: &str,
    text: &str,
    account: &Account,
    violations: &mut Violations,
) -> Option<Password> {
    let name = DisplayName::optional(&account.name).ok().flatten();
    let username = Username::parse(&account.username).ok();
    let email = Email::parse(&account.email).ok();
    let owner = Owner {
        name: name.as_ref(),
        username: username.as_ref(),
        email: email.as_ref(),
    };
    violations.check(field, Password::chosen(text, &owner))
}

pub(crate) fn role(number: i32) -> Result<Role, Rule> {
    match pb::Role::try_from(number) {
        Ok(pb::Role::Unspecified) => Err(Rule::required()),
        Ok(pb::Role::User) => Ok(Role::User),
        Ok(pb::Role::Superuser) => Ok(Role::Superuser),
        Err(_) => Err(Rule::new("ENUM_DEFINED_ONLY", "must be one of the listed values")),
    }
}

/// Whether a status to be set bars the account.
pub(crate) fn disabled(number: i32) -> Result<bool, Rule> {
    match pb::AccountStatus::try_from(number) {
        Ok(pb::AccountStatus::Unspecified) => Err(Rule::required()),
        Ok(pb::AccountStatus::Active) => Ok(false),
        Ok(pb::AccountStatus::Disabled) => Ok(true),
        Ok(pb::AccountStatus::Closed) | Err(_) => Err(Rule::new(
            "ENUM_DEFINED_ONLY",
            "must be ACCOUNT_STATUS_ACTIVE or ACCOUNT_STATUS_DISABLED",
        )),
    }
}

fn role_to_proto(role: Role) -> i32 {
    match role {
        Role::User => pb::Role::User as i32,
        Role::Superuser => pb::Role::Superuser as i32,
    }
}

pub(crate) fn account(account: &Account) -> pb::Account {
    pb::Account {
        etag: account.etag().to_string(),
        id: account.id.to_string(),
        username: account.username.clone(),
        email: account.email.clone(),
        email_verified: account.email_verified,
        pending_email: account.requested_email().map(ToOwned::to_owned),
        role: role_to_proto(account.role),
        status: match account.status() {
            Status::Active => pb::AccountStatus::Active,
            Status::Disabled => pb::AccountStatus::Disabled,
            Status::Closed => pb::AccountStatus::Closed,
        } as i32,
        created_at: Some(timestamp::to_proto(account.created_at)),
        updated_at: Some(timestamp::to_proto(account.updated_at)),
    }
}

pub(crate) fn session(session: Session, current: Uuid) -> pb::Session {
    pb::Session {
        current: session.id == current,
        id: session.id.to_string(),
        user_agent: session.user_agent,
        ip_address: session.ip_address,
        created_at: Some(timestamp::to_proto(session.created_at)),
        last_used_at: Some(timestamp::to_proto(session.last_used_at)),
        expires_at: Some(timestamp::to_proto(session.expires_at)),
    }
}

/// The tokens; those that a browser keeps are in the fields of cookies, or in those of the body.
/// `device` is unset where nobody has signed in.
pub(crate) fn tokens(pair: &Pair, device: Option<&IssuedDevice>, use_cookie: bool) -> pb::TokenResponse {
    let (refresh_token, refresh_cookie) = placed(pair.refresh_token.expose(), use_cookie);
    let device_token = device.map(|device| device.token.expose().to_owned());
    let (device_token, device_cookie) = if use_cookie {
        (None, device_token)
    } else {
        (device_token, None)
    };
    pb::TokenResponse {
        access_token: pair.access_token.clone(),
        refresh_token,
        token_type: BEARER.to_owned(),
        expires_in: pair.expires_in,
        refresh_expires_in: pair.refresh_expires_in,
        refresh_cookie,
        device_token,
        device_expires_in: device.map(IssuedDevice::seconds),
        device_cookie,
    }
}

pub(crate) fn registered(
    account: &Account,
    pair: &Pair,
    device: &IssuedDevice,
    use_cookie: bool,
) -> pb::RegisterResponse {
    let tokens = tokens(pair, Some(device), use_cookie);
    pb::RegisterResponse {
        user: Some(pb::RegisteredUser {
            id: account.id.to_string(),
            name: account.name_or_username().to_owned(),
            username: account.username.clone(),
            email: account.email.clone(),
            role: role_to_proto(account.role),
            created_at: Some(timestamp::to_proto(account.created_at)),
        }),
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        token_type: tokens.token_type,
        expires_in: tokens.expires_in,
        refresh_expires_in: tokens.refresh_expires_in,
        refresh_cookie: tokens.refresh_cookie,
        device_token: tokens.device_token,
        device_expires_in: tokens.device_expires_in,
        device_cookie: tokens.device_cookie,
    }
}

fn placed(refresh_token: String, use_cookie: bool) -> (String, Option<String>) {
    if use_cookie {
        (String::new(), Some(refresh_token))
    } else {
        (refresh_token, None)
    }
}

/// The cookie goes, whether there was one or not.
pub(crate) fn logged_out() -> pb::LogoutResponse {
    pb::LogoutResponse {
        refresh_cookie: Some(String::new()),
    }
}

pub(crate) fn revoked(sessions: &[EndedSession]) -> pb::WatchRevocationsResponse {
    let revoked = sessions.iter().map(|session| pb::RevokedSession {
        session_id: session.id.to_string(),
        forget_at: Some(timestamp::to_proto(session.forget_at)),
    });
    pb::WatchRevocationsResponse {
        revoked: revoked.collect(),
        ..Default::default()
    }
}
