// Mails that were asked for, and their tokens.

use std::time::Duration;

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{accounts, sessions};
use crate::Error;
use crate::domain::{Account, EndedSession, PasswordHash, Purpose, Status, TokenHash};
use crate::store::rows::AccountRow;
use crate::store::{Ending, MailRequest, MailRequests, Proven};

#[async_trait]
impl MailRequests for Queries {
    async fn request_mail(&self, request: &MailRequest, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        insert(&mut transaction, request, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn claim_mail(&self, now: OffsetDateTime, lease: Duration, deadline: Deadline) -> Result<Option<MailRequest>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        // The condition stands twice: whoever waited for the row sees that another one was faster.
        let claimed: Option<(String, String, String)> = sqlx::query_as(
            "update mail_requests
                set leased_until = $2
              where (purpose, email_key) = (select purpose, email_key from mail_requests where leased_until <= $1 order by requested_at limit 1)
                and leased_until <= $1
          returning purpose, email_key, language",
        )
        .bind(Timestamp(now))
        .bind(Timestamp(now + lease))
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let request = claimed.map(|(purpose, email_key, language)| {
            let unknown = || sqlx::Error::Decode("mail_requests.purpose".into());
            Ok(MailRequest { purpose: Purpose::from_name(&purpose).ok_or_else(unknown)?, email_key, language })
        });
        request.transpose()
    }

    async fn was_mailed(&self, account_id: Uuid, request: &MailRequest, since: OffsetDateTime, deadline: Deadline) -> Result<bool, Error> {
        let sent: Option<i32> = sqlx::query_scalar(
            "select 1 from mail_tokens where account_id = $1 and purpose = $2 and email_key = $3 and sent_at > $4 limit 1",
        )
        .bind(account_id)
        .bind(request.purpose.name())
        .bind(&request.email_key)
        .bind(Timestamp(since))
        .fetch_optional(&mut *self.pool.read(deadline).await?)
        .await?;
        Ok(sent.is_some())
    }

    async fn insert_mail_token(&self, token: TokenHash, account_id: Uuid, request: &MailRequest, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        sqlx::query(
            "insert into mail_tokens (token_hash, account_id, purpose, email_key, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(token.0.as_slice())
        .bind(account_id)
        .bind(request.purpose.name())
        .bind(&request.email_key)
        .bind(Timestamp(now))
        .bind(Timestamp(now + request.purpose.lifetime()))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn finish_mail(&self, request: &MailRequest, sent: &[TokenHash], now: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        for token in sent {
            sqlx::query("update mail_tokens set sent_at = $2 where token_hash = $1")
                .bind(token.0.as_slice())
                .bind(Timestamp(now))
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query("delete from mail_requests where purpose = $1 and email_key = $2")
            .bind(request.purpose.name())
            .bind(&request.email_key)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn find_mail_token(&self, token: TokenHash, purpose: Purpose, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Account>, Error> {
        let row: Option<AccountRow> = sqlx::query_as(
            "select accounts.*
               from mail_tokens join accounts on accounts.id = mail_tokens.account_id and accounts.email_key = mail_tokens.email_key
              where token_hash = $1 and purpose = $2 and expires_at > $3",
        )
        .bind(token.0.as_slice())
        .bind(purpose.name())
        .bind(Timestamp(now))
        .fetch_optional(&mut *self.pool.read(deadline).await?)
        .await?;
        let account: Option<Account> = row.map(TryInto::try_into).transpose()?;
        Ok(account.filter(|account| account.status() != Status::Closed))
    }

    async fn reset_password(&self, token: TokenHash, new: &PasswordHash, ending: Ending, deadline: Deadline) -> Result<Option<Vec<EndedSession>>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        // The account before its tokens, as a change of the password locks them.
        let Some(account_id) = account_of(&mut transaction, token).await? else {
            return Ok(None);
        };
        accounts::find_for_update(&mut transaction, account_id).await?;
        let Some(account_id) = take_token(&mut transaction, token, Purpose::PasswordReset, ending.now).await? else {
            return Ok(None);
        };
        void(&mut transaction, account_id, Purpose::PasswordReset).await?;
        sqlx::query("update accounts set password_hash = $2, pending_email = null, pending_email_key = null, updated_at = $3 where id = $1")
            .bind(account_id)
            .bind(new.as_str())
            .bind(Timestamp(ending.now))
            .execute(&mut *transaction)
            .await?;
        let ended = sessions::end_all(&mut transaction, account_id, None, ending).await?;
        transaction.commit().await?;
        Ok(Some(ended))
    }

    async fn verify_email(&self, token: TokenHash, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Proven>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let Some(account_id) = account_of(&mut transaction, token).await? else {
            return Ok(None);
        };
        accounts::find_for_update(&mut transaction, account_id).await?;
        let moved = if take_token(&mut transaction, token, Purpose::EmailVerification, now).await?.is_some() {
            sqlx::query("update accounts set email_verified = true, updated_at = $2 where id = $1")
                .bind(account_id)
                .bind(Timestamp(now))
                .execute(&mut *transaction)
                .await?;
            false
        } else if take_token(&mut transaction, token, Purpose::EmailChange, now).await?.is_some() {
            sqlx::query(
                "update accounts
                    set email = pending_email, email_key = pending_email_key, email_verified = true,
                        pending_email = null, pending_email_key = null, updated_at = $2
                  where id = $1",
            )
            .bind(account_id)
            .bind(Timestamp(now))
            .execute(&mut *transaction)
            .await
            .map_err(accounts::taken)?;
            true
        } else {
            return Ok(None);
        };
        let account = accounts::find(&mut transaction, account_id).await?;
        transaction.commit().await?;
        Ok(account.map(|account| Proven { account, moved }))
    }
}

/// Notes that a mail was asked for; one that waits already is enough.
pub(super) async fn insert(connection: &mut Connection, request: &MailRequest, now: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "insert into mail_requests (purpose, email_key, language, requested_at, leased_until)
         values ($1, $2, $3, $4, $4)
         on conflict do nothing",
    )
    .bind(request.purpose.name())
    .bind(&request.email_key)
    .bind(&request.language)
    .bind(Timestamp(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Voids every token of an account that is for this purpose.
pub(super) async fn void(connection: &mut Connection, account_id: Uuid, purpose: Purpose) -> Result<(), Error> {
    sqlx::query("delete from mail_tokens where account_id = $1 and purpose = $2")
        .bind(account_id)
        .bind(purpose.name())
        .execute(connection)
        .await?;
    Ok(())
}

/// The account of a token, whether or not it still works.
async fn account_of(connection: &mut Connection, token: TokenHash) -> Result<Option<Uuid>, Error> {
    let account_id = sqlx::query_scalar("select account_id from mail_tokens where token_hash = $1")
        .bind(token.0.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(account_id)
}

/// Uses up a token, if it works and its account still has the address that it was sent to, or still asks for it.
async fn take_token(connection: &mut Connection, token: TokenHash, purpose: Purpose, now: OffsetDateTime) -> Result<Option<Uuid>, Error> {
    let account_id = sqlx::query_scalar(
        "delete from mail_tokens
          where token_hash = $1 and purpose = $2 and expires_at > $3
            and exists (
                select 1 from accounts
                 where id = mail_tokens.account_id and not closed
                   and case when $4 then pending_email_key else accounts.email_key end = mail_tokens.email_key)
      returning account_id",
    )
    .bind(token.0.as_slice())
    .bind(purpose.name())
    .bind(Timestamp(now))
    .bind(purpose == Purpose::EmailChange)
    .fetch_optional(connection)
    .await?;
    Ok(account_id)
}
