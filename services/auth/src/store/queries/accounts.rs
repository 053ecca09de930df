// Accounts.

use async_trait::async_trait;
use quartet_kernel::{Deadline, Email, Role, Username};
use quartet_store::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{mails, sessions};
use crate::{Error, events};
use crate::domain::{Account, EndedSession, NewAccount, PasswordHash, Purpose};
use crate::store::rows::AccountRow;
use crate::store::{AccountChange, Accounts, Ending, MailRequest, NewSession};

#[async_trait]
impl Accounts for Queries {
    async fn insert_account(&self, account: &NewAccount, session: Option<&NewSession>, language: &str, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        sqlx::query(
            "insert into accounts (id, username, email, email_key, email_verified, name, password_hash, role, disabled, closed, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, false, false, $9, $9)",
        )
        .bind(account.id)
        .bind(account.username.as_str())
        .bind(account.email.as_str())
        .bind(account.email.key())
        .bind(account.email_verified)
        .bind(&account.name)
        .bind(account.password_hash.as_str())
        .bind(account.role.name())
        .bind(Timestamp(now))
        .execute(&mut *transaction)
        .await
        .map_err(taken)?;
        if let Some(session) = session {
            sessions::insert(&mut transaction, session).await?;
        }
        if !account.email_verified {
            ask_for_mail(&mut transaction, Purpose::EmailVerification, account.email.key(), language, now).await?;
        }
        self.outgoing.say(&mut *transaction, now, account.id, &events::registered(account, language)).await?;
        transaction.commit().await?;
        self.outgoing.said();
        Ok(())
    }

    async fn find_account(&self, id: Uuid, deadline: Deadline) -> Result<Option<Account>, Error> {
        find(&mut *self.pool.read(deadline).await?, id).await
    }

    async fn find_account_by_username(&self, username: &str, deadline: Deadline) -> Result<Option<Account>, Error> {
        let row: Option<AccountRow> = sqlx::query_as("select * from accounts where username = $1")
            .bind(username)
            .fetch_optional(&mut *self.pool.read(deadline).await?)
            .await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn find_account_by_email(&self, email_key: &str, deadline: Deadline) -> Result<Option<Account>, Error> {
        let row: Option<AccountRow> = sqlx::query_as("select * from accounts where email_key = $1")
            .bind(email_key)
            .fetch_optional(&mut *self.pool.read(deadline).await?)
            .await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn find_accounts_by_pending_email(&self, email_key: &str, deadline: Deadline) -> Result<Vec<Account>, Error> {
        let rows: Vec<AccountRow> = sqlx::query_as("select * from accounts where pending_email_key = $1 order by id")
            .bind(email_key)
            .fetch_all(&mut *self.pool.read(deadline).await?)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn rename_account(&self, id: Uuid, username: Option<&Username>, email: Option<&Email>, language: &str, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Account>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let Some(before) = find_for_update(&mut transaction, id).await? else {
            return Ok(None);
        };
        if let Some(username) = username {
            sqlx::query("update accounts set username = $2, updated_at = $3 where id = $1")
                .bind(id)
                .bind(username.as_str())
                .bind(Timestamp(now))
                .execute(&mut *transaction)
                .await
                .map_err(taken)?;
        }
        if let Some(email) = email {
            ask_for_address(&mut transaction, &before, email, language, now).await?;
        }
        let after = find(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(after)
    }

    async fn change_account(&self, id: Uuid, change: AccountChange, ending: Ending, deadline: Deadline) -> Result<Option<(Account, Vec<EndedSession>)>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let loses = matches!(change, AccountChange::Role(Role::User) | AccountChange::Disabled(true) | AccountChange::Closed(true));
        // Locked before the account itself and in one order, so that two such changes at once wait for each other.
        let last = loses && is_last_superuser(&mut transaction, id).await?;
        let Some(before) = find_for_update(&mut transaction, id).await? else {
            return Ok(None);
        };
        let mut after = before.clone();
        match change {
            AccountChange::Role(role) => after.role = role,
            AccountChange::Disabled(disabled) => after.disabled = disabled,
            AccountChange::Closed(closed) => after.closed = closed,
        }
        if after == before {
            return Ok(Some((before, Vec::new())));
        }
        if last {
            return Err(Error::LastSuperuser);
        }
        after.updated_at = ending.now;
        sqlx::query("update accounts set role = $2, disabled = $3, closed = $4, updated_at = $5 where id = $1")
            .bind(id)
            .bind(after.role.name())
            .bind(after.disabled)
            .bind(after.closed)
            .bind(Timestamp(ending.now))
            .execute(&mut *transaction)
            .await?;
        let ended = sessions::end_all(&mut transaction, id, None, ending).await?;
        match change {
            AccountChange::Role(role) => self.outgoing.say(&mut *transaction, ending.now, id, &events::role_changed(id, role)).await?,
            AccountChange::Disabled(_) | AccountChange::Closed(_) => self.outgoing.say(&mut *transaction, ending.now, id, &events::status_changed(&after)).await?,
        }
        transaction.commit().await?;
        self.outgoing.said();
        Ok(Some((after, ended)))
    }

    async fn purge_account(&self, id: Uuid, ending: Ending, deadline: Deadline) -> Result<Vec<EndedSession>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if is_last_superuser(&mut transaction, id).await? {
            return Err(Error::LastSuperuser);
        }
        // A login under way has then opened its session, which ends here, or finds no account.
        find_for_update(&mut transaction, id).await?;
        let ended = sessions::end_all(&mut transaction, id, None, ending).await?;
        let done = sqlx::query("delete from accounts where id = $1").bind(id).execute(&mut *transaction).await?;
        if done.rows_affected() > 0 {
            self.outgoing.say(&mut *transaction, ending.now, id, &events::deleted(id)).await?;
        }
        transaction.commit().await?;
        self.outgoing.said();
        Ok(ended)
    }

    async fn set_tier(&self, id: Uuid, tier: Option<&str>, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        sqlx::query("update accounts set tier = $2 where id = $1").bind(id).bind(tier).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn rehash_password(&self, id: Uuid, old: &PasswordHash, new: &PasswordHash, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        sqlx::query("update accounts set password_hash = $3 where id = $1 and password_hash = $2")
            .bind(id)
            .bind(old.as_str())
            .bind(new.as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn change_password(&self, id: Uuid, old: &PasswordHash, new: &PasswordHash, keep: Option<Uuid>, ending: Ending, deadline: Deadline) -> Result<Option<Vec<EndedSession>>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let changed = sqlx::query(
            "update accounts set password_hash = $3, pending_email = null, pending_email_key = null, updated_at = $4
              where id = $1 and password_hash = $2",
        )
            .bind(id)
            .bind(old.as_str())
            .bind(new.as_str())
            .bind(Timestamp(ending.now))
            .execute(&mut *transaction)
            .await?;
        if changed.rows_affected() == 0 {
            return Ok(None);
        }
        mails::void(&mut transaction, id, Purpose::PasswordReset).await?;
        let ended = sessions::end_all(&mut transaction, id, keep, ending).await?;
        transaction.commit().await?;
        Ok(Some(ended))
    }
}

/// The account.
pub(super) async fn find(connection: &mut Connection, id: Uuid) -> Result<Option<Account>, Error> {
    let row: Option<AccountRow> = sqlx::query_as("select * from accounts where id = $1").bind(id).fetch_optional(connection).await?;
    row.map(TryInto::try_into).transpose()
}

/// The account, which nobody else changes before this transaction ends.
pub(super) async fn find_for_update(connection: &mut Connection, id: Uuid) -> Result<Option<Account>, Error> {
    let row: Option<AccountRow> = sqlx::query_as(concat!("select * from accounts where id = $1", for_update!("accounts")))
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(TryInto::try_into).transpose()
}

/// Whether the account is the only superuser who can sign in. The answer holds until this transaction ends.
async fn is_last_superuser(connection: &mut Connection, id: Uuid) -> Result<bool, Error> {
    let superusers: Vec<Uuid> = sqlx::query_scalar(concat!(
        "select id from accounts where role = 'superuser' and not disabled and not closed order by id",
        for_update!("accounts")
    ))
    .fetch_all(connection)
    .await?;
    Ok(superusers == [id])
}

/// Notes the address that an account asks for. An account that a stolen token speaks for must not be lost with one call: until the address is
/// proven, the old one signs in and resets the password, and its owner hears of it.
async fn ask_for_address(connection: &mut Connection, account: &Account, email: &Email, language: &str, now: OffsetDateTime) -> Result<(), Error> {
    let (own_key, key) = (account.email.to_lowercase(), email.key());
    if key == own_key {
        sqlx::query("update accounts set email = $2, pending_email = null, pending_email_key = null, updated_at = $3 where id = $1")
            .bind(account.id)
            .bind(email.as_str())
            .bind(Timestamp(now))
            .execute(connection)
            .await?;
        return Ok(());
    }
    let holder: Option<Uuid> = sqlx::query_scalar("select id from accounts where email_key = $1").bind(&key).fetch_optional(&mut *connection).await?;
    if holder.is_some() {
        return Err(Error::EmailTaken);
    }
    sqlx::query("update accounts set pending_email = $2, pending_email_key = $3, updated_at = $4 where id = $1")
        .bind(account.id)
        .bind(email.as_str())
        .bind(&key)
        .bind(Timestamp(now))
        .execute(&mut *connection)
        .await?;
    ask_for_mail(connection, Purpose::EmailChangeNotice, own_key, language, now).await?;
    ask_for_mail(connection, Purpose::EmailChange, key, language, now).await
}

async fn ask_for_mail(connection: &mut Connection, purpose: Purpose, email_key: String, language: &str, now: OffsetDateTime) -> Result<(), Error> {
    let request = MailRequest { purpose, email_key, language: language.to_owned() };
    mails::insert(connection, &request, now).await
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
