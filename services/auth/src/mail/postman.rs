//! Makes mails of requests. A request is a row in the store until its mail is out, so none is lost with the process, and the one who asks
//! cannot tell from the answer whether the address has an account.

use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use quartet_clock::Clock;
use quartet_rpc::{Call, Deadline};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Language, Mail, Mailer};
use crate::Error;
use crate::domain::{Account, Email, MailToken, Purpose, Status, text};
use crate::store::{MailRequest, Store};

/// How often the store is asked for requests that another process noted or failed at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a request is this process's to fulfil.
const LEASE: Duration = Duration::from_secs(30);
/// An account gets one mail of a kind in this time.
const APART: Duration = Duration::from_secs(60);

/// The languages that a caller prefers, as far as the store keeps them.
pub(crate) fn languages(call: &Call) -> String {
    text::tamed(&call.accept_language, 100)
}

/// Makes mails of requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Postman {
    clock: Clock,
    store: Arc<dyn Store>,
    mailer: Arc<dyn Mailer>,
    bell: Arc<Notify>,
}

impl Postman {
    pub(crate) fn new(clock: Clock, store: Arc<dyn Store>, mailer: Arc<dyn Mailer>) -> Self {
        Self {
            clock,
            store,
            mailer,
            bell: Arc::default(),
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
            if let Err(error) = self.empty().await {
                tracing::warn!(%error, "a mail was not sent; trying again");
            }
            let _ = stop
                .run_until_cancelled(tokio::time::timeout(LOOK_EVERY, self.bell.notified()))
                .await;
        }
    }

    /// Fulfils every waiting request.
    async fn empty(&self) -> Result<(), Error> {
        while let Some(request) = self
            .store
            .claim_mail(self.clock.now(), LEASE, Deadline::after(LEASE))
            .await?
        {
            self.fulfil(&request).await?;
        }
        Ok(())
    }

    async fn fulfil(&self, request: &MailRequest) -> Result<(), Error> {
        let deadline = Deadline::after(LEASE);
        let now = self.clock.now();
        let sent = match self.recipient(request, deadline).await? {
            None => None,
            Some((account, to)) => {
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
                    language: Language::preferred(&request.language),
                };
                if let Err(error) = self.mailer.send(&mail).await {
                    tracing::warn!(%error, account_id = %account.id, "a mail was not taken; it is tried again when its lease ends");
                    return Ok(());
                }
                Some(hash)
            }
        };
        self.store.finish_mail(request, sent, now, deadline).await
    }

    /// Who gets the mail; nobody, if the address has no account that needs it, or one that has just had it.
    async fn recipient(&self, request: &MailRequest, deadline: Deadline) -> Result<Option<(Account, Mailbox)>, Error> {
        let Some(account) = self.store.find_account_by_email(&request.email_key, deadline).await? else {
            return Ok(None);
        };
        let needless = match request.purpose {
            Purpose::PasswordReset => account.status() != Status::Active,
            Purpose::EmailVerification => account.email_verified || account.status() == Status::Closed,
        };
        let since = self.clock.now() - APART;
        if needless || self.store.was_mailed(account.id, request, since, deadline).await? {
            return Ok(None);
        }
        // The store holds only addresses that parse; one that does not could never be reached.
        Ok(account.email.parse().ok().map(|address| {
            let mailbox = Mailbox::new(Some(account.name_or_username().to_owned()), address);
            (account, mailbox)
        }))
    }
}
