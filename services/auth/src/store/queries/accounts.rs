//! Accounts.

use async_trait::async_trait;
use quartet_kernel::{Email, Language, Role, Username};
use quartet_store::{Backend, Context, Timestamp};
use sqlx::FromRow;
use time::Duration;
use uuid::Uuid;

use super::dialect::for_update;
use super::{Connection, Database, Queries, mail_requests, sessions, statements};
use crate::domain::{
    Account, EndReason, EndedSession, EventKind, NewAccount, PasswordHash, Purpose, Session, Status, UNDO,
};
use crate::store::pending::Write;
use crate::store::{AccountChange, Accounts, NewSession, Replacement, unreadable};
use crate::{Error, events};

#[derive(FromRow)]
pub(super) struct AccountRow {
    pub(super) id: Uuid,
    pub(super) username: String,
    pub(super) email: String,
    pub(super) email_key: String,
    pub(super) email_verified: bool,
    pub(super) pending_email: Option<String>,
    pub(super) name: String,
    pub(super) password_hash: String,
    pub(super) role: String,
    pub(super) disabled: bool,
    pub(super) closed: bool,
    pub(super) tier: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

impl TryFrom<AccountRow> for Account {
    type Error = Error;

    fn try_from(row: AccountRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            username: row.username,
            email: row.email,
            // A claim has a key that is no address.
            holds_email: row.email_key.contains('@'),
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

#[async_trait]
impl Accounts for Queries {
    async fn insert_account(
        &self,
        account: &NewAccount,
        session: Option<&NewSession>,
        languages: &str,
        cx: &Context,
    ) -> Result<(), Error> {
        let mut unit = self.begin(cx);
        unit.publish(account.id, &events::registered(account, languages));
        let language = Language::preferred(languages);
        if account.claimed_from.is_some() {
            mail_requests::warn(&mut unit, account.email.key(), account.id, language);
        } else if !account.email_verified {
            mail_requests::request(
                &mut unit,
                Purpose::EmailVerification,
                account.email.key(),
                account.id,
                language,
            );
        }
        let mut event = self.event(EventKind::UserCreated, Some(account.id), account.role.name(), cx);
        event.session_id = session.map(|session| session.session.id);
        unit.journal().events.push(event);
        unit.journal().write = Write::Open(Box::new(account.clone()), session.cloned().map(Box::new));
        unit.commit().await
    }

    async fn find_account(&self, id: Uuid, cx: &Context) -> Result<Option<Account>, Error> {
        let row: Option<AccountRow> = sqlx::query_as("select * from accounts where id = $1")
            .bind(id)
            .fetch_optional(&mut *self.database.read(cx.deadline).await?)
            .await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn find_account_by_username(&self, username: &str, cx: &Context) -> Result<Option<Account>, Error> {
        let row: Option<AccountRow> = sqlx::query_as("select * from accounts where username = $1")
            .bind(username)
            .fetch_optional(&mut *self.database.read(cx.deadline).await?)
            .await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn find_holders(&self, username: &str, email_key: &str, cx: &Context) -> Result<Vec<Account>, Error> {
        let rows: Vec<AccountRow> =
            // An address that its owner may still take back is nobody else's to register.
            sqlx::query_as(
                "select *
                   from accounts
                  where username = $1 or email_key = $2
                     or id in (select account_id from email_changes where email_key = $2 and changed_at > $3)
               order by id",
            )
            .bind(username)
            .bind(email_key)
            .bind(Timestamp(cx.now - UNDO))
            .fetch_all(&mut *self.database.read(cx.deadline).await?)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn rename_account(
        &self,
        id: Uuid,
        username: Option<&Username>,
        email: Option<&Email>,
        hides: bool,
        languages: &str,
        cx: &Context,
    ) -> Result<Option<Account>, Error> {
        let mut unit = self.begin(cx);
        let key = email.map(Email::key);
        let Some((before, is_taken)) = find_for_rename(unit.connection().await?, id, key.as_deref()).await? else {
            return Ok(None);
        };
        if username.is_none() && email.is_none() {
            return Ok(Some(before));
        }
        let mut after = before.clone();
        after.updated_at = cx.now;
        if let Some(username) = username {
            username.as_str().clone_into(&mut after.username);
        }
        if let Some(email) = email {
            let own_key = before.email.to_lowercase();
            let language = Language::preferred(languages);
            if email.key() == own_key {
                email.as_str().clone_into(&mut after.email);
                // A claim stays one.
                after.pending_email = (!before.holds_email).then(|| email.as_str().to_owned());
            } else if is_taken && !hides {
                return Err(Error::EmailTaken);
            } else if username.is_none() && is_repeated(&before, email, cx) {
                return Ok(Some(before));
            } else {
                // An account that a stolen token speaks for must not be lost with one call: until
                // the address is proven, the old one signs in and resets the password, and its
                // owner is warned.
                after.pending_email = Some(email.as_str().to_owned());
                mail_requests::request(&mut unit, Purpose::EmailChangeNotice, own_key, id, language);
                if is_taken {
                    mail_requests::warn(&mut unit, email.key(), id, language);
                } else {
                    mail_requests::request(&mut unit, Purpose::EmailChange, email.key(), id, language);
                }
            }
        }
        let detail = match (username.is_some(), email.is_some()) {
            (_, false) => "username",
            (false, true) => "email requested",
            (true, true) => "username, email requested",
        };
        let event = self.event(EventKind::UserUpdated, Some(id), detail, cx);
        unit.journal().events.push(event);
        unit.journal().write = Write::Save(Box::new(after.clone()), None);
        unit.commit().await?;
        Ok(Some(after))
    }

    async fn change_account(
        &self,
        id: Uuid,
        change: AccountChange,
        cx: &Context,
    ) -> Result<Option<(Account, Vec<EndedSession>)>, Error> {
        let mut unit = self.begin(cx);
        let loses = matches!(
            change,
            AccountChange::Role(Role::User) | AccountChange::Disabled(true) | AccountChange::Closed(true)
        );
        let (found, is_last) = if loses {
            lock_with_superusers(unit.connection().await?, id).await?
        } else {
            (lock(unit.connection().await?, id).await?, false)
        };
        let Some(before) = found else {
            return Ok(None);
        };
        if let Some(precondition) = &cx.precondition {
            precondition.check(before.etag())?;
        }
        let mut after = before.clone();
        match change {
            AccountChange::Role(role) => after.role = role,
            AccountChange::Disabled(disabled) => after.disabled = disabled,
            AccountChange::Closed(closed) => after.closed = closed,
        }
        if after == before {
            return Ok(Some((before, Vec::new())));
        }
        if is_last {
            return Err(Error::LastSuperuser);
        }
        after.updated_at = cx.now;
        match change {
            AccountChange::Role(role) => unit.publish(id, &events::role_changed(id, role)),
            AccountChange::Disabled(_) | AccountChange::Closed(_) => unit.publish(id, &events::status_changed(&after)),
        }
        let (kind, detail) = match change {
            AccountChange::Role(role) => (EventKind::AuthzChange, role.name()),
            AccountChange::Disabled(true) => (EventKind::AuthzAdmin, "disabled"),
            AccountChange::Disabled(false) => (EventKind::AuthzAdmin, "enabled"),
            AccountChange::Closed(true) => (EventKind::UserArchived, ""),
            AccountChange::Closed(false) => (EventKind::UserRestored, ""),
        };
        let event = self.event(kind, Some(id), detail, cx);
        unit.journal().events.push(event);
        unit.journal().write = Write::Save(Box::new(after.clone()), Some(self.ending(EndReason::Account, cx)));
        unit.flush().await?;
        let ended = unit.journal().ended.clone();
        unit.commit().await?;
        Ok(Some((after, ended)))
    }

    async fn purge_account(&self, id: Uuid, cx: &Context) -> Result<Vec<EndedSession>, Error> {
        let mut unit = self.begin(cx);
        // A login under way has then opened its session, which ends here, or finds no account.
        let (found, is_last) = lock_with_superusers(unit.connection().await?, id).await?;
        if is_last {
            return Err(Error::LastSuperuser);
        }
        if found.is_none() {
            return Ok(Vec::new());
        }
        unit.publish(id, &events::deleted(id));
        let event = self.event(EventKind::UserDeleted, Some(id), "", cx);
        unit.journal().events.push(event);
        unit.journal().write = Write::Purge(id, self.ending(EndReason::Account, cx));
        unit.flush().await?;
        let ended = unit.journal().ended.clone();
        unit.commit().await?;
        Ok(ended)
    }

    async fn set_tier(&self, id: Uuid, tier: Option<&str>, cx: &Context) -> Result<(), Error> {
        let mut single = self.database.single(cx.deadline).await?;
        record_tier(&mut single, id, tier).await?;
        Ok(Database::finish(single).await?)
    }

    async fn rehash_password(
        &self,
        id: Uuid,
        old: &PasswordHash,
        new: &PasswordHash,
        cx: &Context,
    ) -> Result<bool, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let done = sqlx::query("update accounts set password_hash = $3 where id = $1 and password_hash = $2")
            .bind(id)
            .bind(old.as_str())
            .bind(new.as_str())
            .execute(&mut *single)
            .await?;
        Database::finish(single).await?;
        Ok(done.rows_affected() == 1)
    }

    async fn change_password(
        &self,
        id: Uuid,
        old: &PasswordHash,
        new: &PasswordHash,
        keep: Option<Uuid>,
        cx: &Context,
    ) -> Result<Option<Vec<EndedSession>>, Error> {
        let mut unit = self.begin(cx);
        if !set_password(unit.connection().await?, id, old, new, cx).await? {
            return Ok(None);
        }
        let ending = self.ending(EndReason::Password, cx);
        let ended =
            mail_requests::void_and_end(unit.connection().await?, id, Purpose::PasswordReset, keep, ending).await?;
        unit.journal().ended.extend(&ended);
        let event = self.event(EventKind::PasswordChange, Some(id), "change", cx);
        unit.journal().events.push(event);
        unit.commit().await?;
        Ok(Some(ended))
    }

    async fn replace_password(
        &self,
        id: Uuid,
        replacement: Replacement<'_>,
        cx: &Context,
    ) -> Result<Option<Session>, Error> {
        let Replacement {
            old,
            new,
            session_id,
            successor,
            is_fresh_proof,
        } = replacement;
        let mut unit = self.begin(cx);
        // The account before its sessions, as a login locks them.
        if !set_password(unit.connection().await?, id, old, new, cx).await? {
            return Ok(None);
        }
        let before = sessions::find_live(unit.connection().await?, id, session_id, cx).await?;
        let before = before.ok_or(Error::SessionNotFound { id: session_id })?;
        let ending = self.ending(EndReason::Password, cx);
        let ended =
            mail_requests::void_and_end(unit.connection().await?, id, Purpose::PasswordReset, None, ending).await?;
        if !ended.iter().any(|ended| ended.id == session_id) {
            // A logout has ended it since it was read: what was to be over goes on with no successor.
            return Err(Error::SessionNotFound { id: session_id });
        }
        unit.journal().ended.extend(&ended);
        let session = Session {
            assurance: before.assurance,
            authenticated_at: if is_fresh_proof {
                cx.now
            } else {
                before.authenticated_at
            },
            expires_at: before.expires_at,
            client_id: before.client_id,
            ..successor.session
        };
        sessions::insert(unit.connection().await?, &session, successor.token_hash).await?;
        let event = self.event(EventKind::PasswordChange, Some(id), "change", cx);
        unit.journal().events.push(event);
        unit.commit().await?;
        Ok(Some(session))
    }
}

/// Sets another password, unless it is not `old` any more, and takes back a new address that is yet to be
/// proven. A claim stays one.
async fn set_password(
    connection: &mut Connection,
    id: Uuid,
    old: &PasswordHash,
    new: &PasswordHash,
    cx: &Context,
) -> Result<bool, Error> {
    let changed = sqlx::query(statements::SET_PASSWORD)
        .bind(id)
        .bind(old.as_str())
        .bind(new.as_str())
        .bind(Timestamp(cx.now))
        .execute(connection)
        .await?;
    Ok(changed.rows_affected() == 1)
}

/// Records the tier that users returned.
pub(super) async fn record_tier(connection: &mut Connection, id: Uuid, tier: Option<&str>) -> Result<(), Error> {
    sqlx::query("update accounts set tier = $2 where id = $1")
        .bind(id)
        .bind(tier)
        .execute(connection)
        .await?;
    Ok(())
}

/// The account, which nobody else changes before this transaction ends.
pub(super) async fn lock(connection: &mut Connection, id: Uuid) -> Result<Option<Account>, Error> {
    let row: Option<AccountRow> =
        sqlx::query_as(concat!("select * from accounts where id = $1", for_update!("accounts")))
            .bind(id)
            .fetch_optional(connection)
            .await?;
    row.map(TryInto::try_into).transpose()
}

/// The account, and whether it is the only superuser who can sign in. Both hold until this
/// transaction ends: all are locked, in one order, so that two such changes at once wait for each
/// other.
async fn lock_with_superusers(connection: &mut Connection, id: Uuid) -> Result<(Option<Account>, bool), Error> {
    let rows: Vec<AccountRow> = sqlx::query_as(concat!(
        "select * from accounts
          where id = $1 or (role = 'superuser' and not disabled and not closed)
       order by id",
        for_update!("accounts")
    ))
    .bind(id)
    .fetch_all(connection)
    .await?;
    let accounts: Vec<Account> = rows.into_iter().map(TryInto::try_into).collect::<Result<_, Error>>()?;
    let is_superuser = |account: &&Account| account.role == Role::Superuser && account.status() == Status::Active;
    let is_last = accounts.iter().filter(is_superuser).map(|account| account.id).eq([id]);
    Ok((accounts.into_iter().find(|account| account.id == id), is_last))
}

/// Whether the address was requested within the last minute: a client that sends its request twice
/// gets one mail.
fn is_repeated(account: &Account, email: &Email, cx: &Context) -> bool {
    account.pending_email.as_deref() == Some(email.as_str()) && cx.now - account.updated_at < Duration::MINUTE
}

/// The account, which nobody else changes before this transaction ends, and whether another one has the
/// address.
async fn find_for_rename(
    connection: &mut Connection,
    id: Uuid,
    email_key: Option<&str>,
) -> Result<Option<(Account, bool)>, Error> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        account: AccountRow,
        is_taken: bool,
    }
    let row: Option<Row> = sqlx::query_as(concat!(
        "select accounts.*, exists (select 1 from accounts as holder where holder.email_key = $2) as is_taken
           from accounts
          where id = $1",
        for_update!("accounts")
    ))
    .bind(id)
    .bind(email_key)
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok((row.account.try_into()?, row.is_taken))).transpose()
}

pub(super) fn taken(error: sqlx::Error) -> Error {
    let error = quartet_store::Error::from(error);
    if error.violates("accounts_username_key", "accounts.username") {
        Error::UsernameTaken
    } else if error.violates("accounts_email_key", "accounts.email_key") {
        Error::EmailTaken
    } else {
        error.into()
    }
}
