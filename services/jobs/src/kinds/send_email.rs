//! Sends one mail.
//!
//! Once: a mail server cannot be asked whether it has a mail, so a mail whose worker died after
//! sending is sent again, with the `Message-ID` and the date of the first, by which mail programs
//! show it once. As a file, it is the same file.
//!
//! A mail that the auth service requested gets its text from there when it is sent: its link and
//! token are in no store of this service. The same request gets the same token, so a mail that is
//! sent again is the same mail.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quartet_kernel::Language;
use quartet_proto::auth::v1 as auth;
use quartet_proto::auth::v1::MailPurpose;
use quartet_proto::auth::v1::mail_service_client::MailServiceClient;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::send_email::Template;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Dependencies;
use crate::domain::OutgoingMail;
use crate::mail::{Content, Mail, SecretLink};
use crate::workers::{Done, JobContext, JobError, JobHandler};

pub(super) struct SendEmail(pub(super) Arc<Dependencies>);

#[async_trait]
impl JobHandler for SendEmail {
    fn timeout(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn run(&self, context: &JobContext) -> Result<Done, JobError> {
        let payload: pb::SendEmail = context.payload()?;
        // Reminders go to proven addresses, and are their owner's own.
        let is_counted = !matches!(payload.template, Some(Template::Reminder(_)));
        let account = account(payload.template.as_ref());
        // Before it is known whether there is a mail: an account that asks for mails to an address that
        // another one has would find out by what is left of its own limit.
        if account.is_some() && !self.count(context, None, account).await? {
            return Ok(Done::with(&pb::SendEmailResult::default()));
        }
        let content = match payload.template {
            Some(Template::Requested(requested)) => self.issue(context, requested.request).await?,
            template => {
                let (name, content) =
                    content(template).ok_or_else(|| JobError::permanent("INVALID", "the mail has no template"))?;
                Some((payload.to, name, content))
            }
        };
        let Some((to, name, content)) = content else {
            // Nobody needs it any more.
            return Ok(Done::with(&pb::SendEmailResult::default()));
        };
        if is_counted && !self.count(context, Some(&to), account).await? {
            return Ok(Done::with(&pb::SendEmailResult::default()));
        }
        let mail = Mail {
            id: context.job.id,
            date: context.job.created_at,
            to,
            name,
            language: Language::preferred(&payload.language),
            content,
        };
        match self.0.mails.send(&mail).await {
            Ok(message_id) => Ok(Done::with(&pb::SendEmailResult { message_id })),
            Err(failure) => Err(failure.into()),
        }
    }
}

impl SendEmail {
    /// Counts the mail; whether the limits allow it.
    async fn count(&self, context: &JobContext, to: Option<&str>, account: Option<Uuid>) -> Result<bool, JobError> {
        let mail = OutgoingMail {
            job: context.job.id,
            to: to.map(ToOwned::to_owned),
            account,
        };
        let limits = self.0.mail_limits;
        let is_allowed = self.0.store.count_mail(&mail, limits, &context.cx()).await?;
        if !is_allowed {
            tracing::warn!("a mail was not sent: its address or its account has had enough of them within the hour");
        }
        Ok(is_allowed)
    }

    /// What is in a mail that the auth service requested: its address, the name of its reader, and
    /// what it is about. `None` when there is nothing to send any more.
    async fn issue(
        &self,
        context: &JobContext,
        request: Option<auth::MailRequest>,
    ) -> Result<Option<(String, String, Content)>, JobError> {
        let request = request.ok_or_else(|| JobError::permanent("INVALID", "the mail has no request"))?;
        let purpose = request.purpose();
        let message = auth::IssueMailRequest { request: Some(request) };
        let mut client = MailServiceClient::new(self.0.auth.upstream());
        let reply = client.issue_mail(context.request(&self.0.auth, message)?).await?;
        let Some(mail) = reply.into_inner().mail else {
            return Ok(None);
        };
        let link = SecretLink {
            url: mail.link,
            token: mail.token,
            expires_at: timestamp(mail.expires_at),
        };
        let content = match purpose {
            MailPurpose::EmailVerification => Content::Verify(link),
            MailPurpose::PasswordReset => Content::Reset(link),
            MailPurpose::EmailChange => Content::AddressChange(link),
            MailPurpose::EmailChangeUndo => Content::AddressChangeUndo(link),
            MailPurpose::EmailChangeNotice => Content::AddressChangeNotice,
            MailPurpose::AddressTaken => Content::AddressTaken,
            MailPurpose::Unspecified => return Err(JobError::permanent("INVALID", "the mail has no purpose")),
        };
        Ok(Some((mail.to, mail.name, content)))
    }
}

/// The account that requested the mail, if one did. Whoever has taken an account must not keep its owner
/// from undoing that, by requesting many others.
fn account(template: Option<&Template>) -> Option<Uuid> {
    let Some(Template::Requested(requested)) = template else {
        return None;
    };
    let request = requested.request.as_ref()?;
    if request.purpose() == MailPurpose::EmailChangeUndo {
        return None;
    }
    let id = request.requested_by.as_deref().or(request.account_id.as_deref())?;
    id.parse().ok()
}

/// The name of the mail's reader, and what it is about.
fn content(template: Option<Template>) -> Option<(String, Content)> {
    let link = |url, token, expires_at| SecretLink {
        url,
        token,
        expires_at: timestamp(expires_at),
    };
    Some(match template? {
        Template::Welcome(mail) => (mail.name, Content::Welcome),
        Template::Verify(mail) => (mail.name, Content::Verify(link(mail.link, mail.token, mail.expires_at))),
        Template::Reset(mail) => (mail.name, Content::Reset(link(mail.link, mail.token, mail.expires_at))),
        Template::AddressChange(mail) => (
            mail.name,
            Content::AddressChange(link(mail.link, mail.token, mail.expires_at)),
        ),
        Template::WebhooksPaused(mail) => (mail.name, Content::WebhooksPaused),
        Template::AddressChangeNotice(mail) => (mail.name, Content::AddressChangeNotice),
        Template::Reminder(mail) => (
            mail.name,
            Content::Reminder {
                title: mail.title,
                due_at: timestamp(mail.due_at),
            },
        ),
        Template::Requested(_) => return None,
    })
}

fn timestamp(timestamp: Option<prost_types::Timestamp>) -> Option<OffsetDateTime> {
    quartet_rpc::timestamp::parse(timestamp.as_ref()).ok().flatten()
}
