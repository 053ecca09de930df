//! Mails: requests for them, and the tokens that they carry.

use async_trait::async_trait;
use quartet_store::{Context, Timestamp};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::accounts::{AccountRow, taken};
use super::dialect::for_update;
use super::{Connection, Queries, mail_requests, sessions, statements};
use crate::domain::{
    Account, EndReason, EndedSession, EventKind, MailKey, MailRequest, PasswordHash, Purpose, SecurityEvent, Status,
    TokenHash,
};
use crate::store::{IssuedMail, Mails, Proven, unreadable};
use crate::{Error, events};
use quartet_kernel::Language;

/// Reads an account, which is then locked, and the token that was drawn for a request of it.
macro_rules! issued {
    ($account:literal) => {
        concat!(
            "select accounts.*, mail_tokens.token_hash, mail_tokens.created_at as issued_at,
                    mail_tokens.expires_at, mail_tokens.used_at
               from accounts
          left join mail_tokens on mail_tokens.request_id = $2
              where ",
            $account,
            for_update!("accounts")
        )
    };
}

#[derive(FromRow)]
struct IssuedRow {
    #[sqlx(flatten)]
    account: AccountRow,
    token_hash: Option<Vec<u8>>,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
}

#[async_trait]
impl Mails for Queries {
    async fn request_mails(&self, requests: &[MailRequest], language: Language, cx: &Context) -> Result<(), Error> {
        let mut unit = self.begin(cx);
        for request in requests {
            unit.publish(request.id, &events::mail_requested(request, language));
        }
        unit.commit().await
    }

    async fn issue_mail(
        &self,
        request: &MailRequest,
        key: &MailKey,
        cx: &Context,
    ) -> Result<Option<IssuedMail>, Error> {
        let mut unit = self.begin(cx);
        // Once more where two attempts at one mail come at once: the second finds the token of the
        // first.
        for _ in 0..2 {
            let Some(row) = find_issued(unit.connection().await?, request).await? else {
                return Ok(None);
            };
            let account: Account = row.account.try_into()?;
            let Some(to) = request.recipient(&account).map(ToOwned::to_owned) else {
                return Ok(None);
            };
            let issued_at: Option<OffsetDateTime> = row.issued_at.map(Into::into);
            let expires_at: Option<OffsetDateTime> = row.expires_at.map(Into::into);
            if row.used_at.is_some() {
                return Ok(None);
            }
            if let (Some(issued_at), Some(expires_at), Some(hash)) = (issued_at, expires_at, row.token_hash) {
                let token = key.token(request.id, issued_at);
                // The key is another one where the suite's secret has changed.
                if cx.now < expires_at && token.hash().0.as_slice() == hash {
                    return Ok(Some(IssuedMail {
                        account,
                        to,
                        token,
                        expires_at,
                    }));
                }
            }
            let token = key.token(request.id, cx.now);
            let expires_at = cx.now + request.purpose.lifetime();
            let issued = sqlx::query(
                "insert into mail_tokens
                    (token_hash, request_id, account_id, purpose, email_key, created_at, expires_at)
                 select $1, $2, $3, $4, $5, $6, $7
                  where not exists (
                        select 1 from mail_tokens
                         where account_id = $3 and purpose = $4 and email_key = $5 and created_at > $8
                           and (request_id is null or request_id <> $2))
                 on conflict (request_id) do update
                    set token_hash = excluded.token_hash, created_at = excluded.created_at,
                        expires_at = excluded.expires_at
                  where mail_tokens.created_at = $9",
            )
            .bind(token.hash().0.as_slice())
            .bind(request.id)
            .bind(account.id)
            .bind(request.purpose.name())
            .bind(&request.email_key)
            .bind(Timestamp(cx.now))
            .bind(Timestamp(expires_at))
            .bind(Timestamp(cx.now - request.purpose.apart()))
            .bind(issued_at.map(Timestamp))
            .execute(unit.connection().await?)
            .await?;
            if issued.rows_affected() == 1 {
                // With the mail, of which there is one an hour. An owner who has proven nothing may be
                // whoever has requested it, and would learn by the event that the address is taken.
                if request.purpose == Purpose::AddressTaken && account.email_verified {
                    let event = SecurityEvent {
                        // The caller is the service that sends the mail. Who has requested it, and from
                        // where, is not the owner's business.
                        session_id: None,
                        actor: String::new(),
                        client_address: String::new(),
                        ..self.event(EventKind::AddressClaimed, Some(account.id), "", cx)
                    };
                    unit.journal().events.push(event);
                }
                unit.commit().await?;
                return Ok(Some(IssuedMail {
                    account,
                    to,
                    token,
                    expires_at,
                }));
            }
        }
        Ok(None)
    }

    async fn find_mail_token(
        &self,
        token: TokenHash,
        purpose: Purpose,
        cx: &Context,
    ) -> Result<Option<Account>, Error> {
        let row: Option<AccountRow> = sqlx::query_as(
            "select accounts.*
               from mail_tokens
               join accounts on accounts.id = mail_tokens.account_id and accounts.email_key = mail_tokens.email_key
              where token_hash = $1 and purpose = $2 and expires_at > $3 and used_at is null",
        )
        .bind(token.0.as_slice())
        .bind(purpose.name())
        .bind(Timestamp(cx.now))
        .fetch_optional(&mut *self.database.read(cx.deadline).await?)
        .await?;
        let account: Option<Account> = row.map(TryInto::try_into).transpose()?;
        Ok(account.filter(|account| account.status() != Status::Closed))
    }

    async fn reset_password(
        &self,
        token: TokenHash,
        new: &PasswordHash,
        language: Language,
        cx: &Context,
    ) -> Result<Option<Vec<EndedSession>>, Error> {
        let mut unit = self.begin(cx);
        // The account before its tokens, as a change of the password locks them.
        let Some((account, _)) = lock_account_of(unit.connection().await?, token).await? else {
            return Ok(None);
        };
        let ending = self.ending(EndReason::Password, cx);
        let reset = statements::reset_password(unit.connection().await?, token, account.id, new, ending).await?;
        let Some(ended) = reset else {
            return Ok(None);
        };
        unit.journal().ended.extend(&ended);
        let event = self.event(EventKind::PasswordChange, Some(account.id), "reset", cx);
        unit.journal().events.push(event);
        if !account.email_verified {
            // Whoever has registered with the address may have been another one. Their second factor would
            // keep the owner out.
            let removed = sqlx::query("delete from second_factors where account_id = $1")
                .bind(account.id)
                .execute(unit.connection().await?)
                .await?;
            if removed.rows_affected() > 0 {
                let event = self.event(EventKind::SecondFactorRemove, Some(account.id), "email verified", cx);
                unit.journal().events.push(event);
            }
            let event = self.event(EventKind::UserUpdated, Some(account.id), "email verified", cx);
            unit.journal().events.push(event);
        }
        unit.publish(account.id, &events::password_reset(&account, language));
        unit.commit().await?;
        Ok(Some(ended))
    }

    async fn verify_email(&self, token: TokenHash, language: Language, cx: &Context) -> Result<Option<Proven>, Error> {
        let mut unit = self.begin(cx);
        let Some((mut account, purpose)) = lock_account_of(unit.connection().await?, token).await? else {
            return Ok(None);
        };
        let moved = match purpose {
            Purpose::EmailVerification => false,
            Purpose::EmailChange => true,
            Purpose::PasswordReset | Purpose::EmailChangeNotice | Purpose::EmailChangeUndo | Purpose::AddressTaken => {
                return Ok(None);
            }
        };
        let proven = statements::verify_email(unit.connection().await?, token, account.id, moved, cx.now).await?;
        if !proven {
            return Ok(None);
        }
        if moved {
            // To an address that was never proven, the link would give the account to a stranger.
            if account.email_verified {
                let key = account.email.to_lowercase();
                let id = mail_requests::request(&mut unit, Purpose::EmailChangeUndo, key.clone(), account.id, language);
                record_change(unit.connection().await?, id, &account, &key, cx).await?;
            }
            account.email = account.pending_email.take().unwrap_or_default();
        }
        account.email_verified = true;
        account.updated_at = cx.now;
        let detail = if moved { "email changed" } else { "email verified" };
        let event = self.event(EventKind::UserUpdated, Some(account.id), detail, cx);
        unit.journal().events.push(event);
        unit.commit().await?;
        Ok(Some(Proven { account, moved }))
    }

    async fn undo_email_change(&self, token: TokenHash, cx: &Context) -> Result<Option<Account>, Error> {
        let mut unit = self.begin(cx);
        let Some((mut account, Purpose::EmailChangeUndo)) = lock_account_of(unit.connection().await?, token).await?
        else {
            return Ok(None);
        };
        if account.status() == Status::Closed {
            return Ok(None);
        }
        let Some((email, email_key, changed_at)) = take_change(unit.connection().await?, token, cx).await? else {
            return Ok(None);
        };
        sqlx::query(
            "update accounts
                set email = $2, email_key = $3, email_verified = true, pending_email = null,
                    pending_email_key = null, updated_at = $4
              where id = $1",
        )
        .bind(account.id)
        .bind(&email)
        .bind(email_key)
        .bind(Timestamp(cx.now))
        .execute(unit.connection().await?)
        .await
        .map_err(taken)?;
        // A second factor that was enrolled since then is not of the owner, and would keep them out.
        sqlx::query(
            "delete from second_factors where account_id = $1 and (confirmed_at is null or confirmed_at >= $2)",
        )
        .bind(account.id)
        .bind(changed_at)
        .execute(unit.connection().await?)
        .await?;
        // Those who have owned an address since then cannot undo this.
        sqlx::query("delete from email_changes where account_id = $1 and changed_at >= $2")
            .bind(account.id)
            .bind(changed_at)
            .execute(unit.connection().await?)
            .await?;
        let ending = self.ending(EndReason::Account, cx);
        let ended = sessions::end_all(unit.connection().await?, account.id, None, ending).await?;
        unit.journal().ended.extend(&ended);
        let event = self.event(EventKind::UserUpdated, Some(account.id), "email change undone", cx);
        unit.journal().events.push(event);
        unit.commit().await?;
        account.email = email;
        account.email_verified = true;
        account.pending_email = None;
        account.updated_at = cx.now;
        Ok(Some(account))
    }
}

/// Records that an account has had another address, which can be undone.
async fn record_change(
    connection: &mut Connection,
    id: Uuid,
    account: &Account,
    email_key: &str,
    cx: &Context,
) -> Result<(), Error> {
    sqlx::query("insert into email_changes (id, account_id, email, email_key, changed_at) values ($1, $2, $3, $4, $5)")
        .bind(id)
        .bind(account.id)
        .bind(&account.email)
        .bind(email_key)
        .bind(Timestamp(cx.now))
        .execute(connection)
        .await?;
    Ok(())
}

/// Uses up a token that undoes a change of address; the old address, and when it was changed. `None`
/// when the token does not work, or the change was overtaken by another undo.
async fn take_change(
    connection: &mut Connection,
    token: TokenHash,
    cx: &Context,
) -> Result<Option<(String, String, Timestamp)>, Error> {
    let request: Option<Uuid> = sqlx::query_scalar(
        "update mail_tokens
            set used_at = $2
          where token_hash = $1 and used_at is null and expires_at > $2
      returning request_id",
    )
    .bind(token.0.as_slice())
    .bind(Timestamp(cx.now))
    .fetch_optional(&mut *connection)
    .await?;
    let change = sqlx::query_as("select email, email_key, changed_at from email_changes where id = $1")
        .bind(request)
        .fetch_optional(connection)
        .await?;
    Ok(change)
}

async fn find_issued(connection: &mut Connection, request: &MailRequest) -> Result<Option<IssuedRow>, Error> {
    let query = match request.account_id {
        Some(id) => sqlx::query_as(issued!("accounts.id = $1")).bind(id),
        None => sqlx::query_as(issued!("accounts.email_key = $1")).bind(&request.email_key),
    };
    Ok(query.bind(request.id).fetch_optional(connection).await?)
}

/// The account of a token and what that is for, whether or not it still works. Nobody else changes
/// the account before this transaction ends.
async fn lock_account_of(connection: &mut Connection, token: TokenHash) -> Result<Option<(Account, Purpose)>, Error> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        account: AccountRow,
        purpose: String,
    }
    let row: Option<Row> = sqlx::query_as(concat!(
        "select accounts.*, mail_tokens.purpose
           from mail_tokens join accounts on accounts.id = mail_tokens.account_id
          where mail_tokens.token_hash = $1",
        for_update!("accounts")
    ))
    .bind(token.0.as_slice())
    .fetch_optional(connection)
    .await?;
    let parse = |row: Row| {
        let purpose = Purpose::from_name(&row.purpose).ok_or_else(|| unreadable("mail_tokens.purpose"))?;
        Ok((row.account.try_into()?, purpose))
    };
    row.map(parse).transpose()
}
