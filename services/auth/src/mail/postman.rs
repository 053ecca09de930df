//! Makes mails of requests. A request is a row in the store until its mail is out, so none is lost with the process, and the one who asks
//! cannot tell from the answer whether the address has an account.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::{Deadline, Email, Language, text};
use quartet_rpc::Call;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Mail, MailError, Mailer};
use crate::Error;
use crate::domain::{Account, MailToken, Purpose, Status};
use crate::store::{MailRequest, Store};

/// How often the store is asked for requests that another process noted or failed at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a request is this process's to fulfil.
const LEASE: Duration = Duration::from_secs(30);
/// How long a mail is offered under one lease, with a margin for the last answer and the note of it.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first pause before a mail that was not taken is offered again; it doubles, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An account gets one mail of a kind in this time.
const APART: Duration = Duration::from_secs(60);

/// The languages that a caller prefers, as far as the store keeps them.
pub(crate) fn languages(call: &Call) -> String {
    text::sanitize(&call.accept_language, 100)
}

/// Makes mails of requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Postman {
    clock: Clock,
    store: Arc<dyn Store>,
    mailer: Arc<dyn Mailer>,
    bell: Arc<Notify>,
    /// Whether the carrier took no mail when it was last asked. The log says so once, not with every mail that waits.
    is_away: Arc<AtomicBool>,
}

/// What became of a mail.
enum Sent {
    /// The carrier has it.
    Taken,
    /// Nobody will ever have it.
    Dropped,
    /// It is made anew when the lease ends.
    Waits,
}

impl Postman {
    pub(crate) fn new(clock: Clock, store: Arc<dyn Store>, mailer: Arc<dyn Mailer>) -> Self {
        Self {
            clock,
            store,
            mailer,
            bell: Arc::default(),
            is_away: Arc::default(),
        }
    }

    /// Notes that a mail was asked for.
    pub(crate) async fn request(&self, call: &Call, purpose: Purpose, email: &Email) -> Result<(), Error> {
        let request = MailRequest {
            purpose,
            email_key: email.key(),
            language: languages(call),
        };
        self.store
            .request_mail(&request, self.clock.now(), call.deadline)
            .await?;
        self.wake();
        Ok(())
    }

    /// Tells the postman of this process that there is a request.
    pub(crate) fn wake(&self) {
        self.bell.notify_one();
    }

    /// Makes mails until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.empty(&stop).await {
                tracing::warn!(%error, "the requests for mails cannot be worked off for now");
            }
            let _ = stop
                .run_until_cancelled(tokio::time::timeout(LOOK_EVERY, self.bell.notified()))
                .await;
        }
    }

    /// Fulfils every waiting request.
    async fn empty(&self, stop: &CancellationToken) -> Result<(), Error> {
        while !stop.is_cancelled()
            && let Some(request) = self
                .store
                .claim_mail(self.clock.now(), LEASE, Deadline::after(LEASE))
                .await?
        {
            self.fulfil(&request, stop).await?;
        }
        Ok(())
    }

    async fn fulfil(&self, request: &MailRequest, stop: &CancellationToken) -> Result<(), Error> {
        let deadline = Deadline::after(LEASE);
        let patience = Deadline::after(PATIENCE);
        let now = self.clock.now();
        let mut sent = Vec::new();
        for (account, to) in self.recipients(request, deadline).await? {
            let token = MailToken::draw(&self.clock);
            let hash = token.hash();
            self.store
                .insert_mail_token(hash, account.id, request, now, deadline)
                .await?;
            let mail = Mail {
                purpose: request.purpose,
                name: account.name_or_username().to_owned(),
                to,
                token,
                expires_at: now + request.purpose.lifetime(),
                language: Language::preferred(&request.language),
            };
            match self.offer(&mail, patience, stop).await {
                Sent::Taken => sent.push(hash),
                Sent::Dropped => {}
                Sent::Waits => return Ok(()),
            }
        }
        self.store.finish_mail(request, &sent, now, deadline).await
    }

    /// Offers a mail, the same one each time, until it is taken or the patience ends.
    async fn offer(&self, mail: &Mail, patience: Deadline, stop: &CancellationToken) -> Sent {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.mailer.send(mail).await {
                Ok(()) => {
                    if self.is_away.swap(false, Ordering::Relaxed) {
                        tracing::info!("mails are taken again");
                    }
                    return Sent::Taken;
                }
                Err(MailError::Never(reason)) => {
                    tracing::error!(
                        reason,
                        purpose = mail.purpose.name(),
                        "a mail was dropped, since it would never be taken"
                    );
                    return Sent::Dropped;
                }
                Err(MailError::Later(reason)) if !self.is_away.swap(true, Ordering::Relaxed) => {
                    tracing::warn!(
                        reason,
                        "mails are not taken for now; they wait, and are offered again and again"
                    );
                }
                Err(MailError::Later(reason)) => tracing::debug!(reason, "mails are still not taken"),
            }
            if patience.remaining() < pause || stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Sent::Waits;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Who gets the mail; nobody, if the address has no account that needs it, or one that has just had it. Several accounts may have asked
    /// for one address that is yet to be proven.
    async fn recipients(&self, request: &MailRequest, deadline: Deadline) -> Result<Vec<(Account, String)>, Error> {
        let key = &request.email_key;
        let accounts = match request.purpose {
            Purpose::EmailChange => self.store.find_accounts_by_pending_email(key, deadline).await?,
            Purpose::PasswordReset | Purpose::EmailVerification | Purpose::EmailChangeNotice => {
                let account = self.store.find_account_by_email(key, deadline).await?;
                account.into_iter().collect()
            }
        };
        let since = self.clock.now() - APART;
        let mut recipients = Vec::with_capacity(accounts.len());
        for account in accounts {
            let needless = match request.purpose {
                Purpose::PasswordReset => account.status() != Status::Active,
                Purpose::EmailVerification => account.email_verified || account.status() == Status::Closed,
                Purpose::EmailChange | Purpose::EmailChangeNotice => account.status() == Status::Closed,
            };
            if needless || self.store.was_mailed(account.id, request, since, deadline).await? {
                continue;
            }
            let address = match request.purpose {
                Purpose::EmailChange => account.pending_email.as_deref().unwrap_or_default(),
                Purpose::PasswordReset | Purpose::EmailVerification | Purpose::EmailChangeNotice => &account.email,
            };
            let address = address.to_owned();
            recipients.push((account, address));
        }
        Ok(recipients)
    }
}
