//! Sends one mail.
//!
//! Once: a mail server cannot be asked whether it has a mail, so a mail whose worker died after
//! sending is sent again, with the `Message-ID` and the date of the first, by which mail programs
//! show it once. As a file, it is the same file.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quartet_kernel::Language;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::send_email::Template;
use time::OffsetDateTime;

use super::Dependencies;
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
        let (name, content) =
            content(payload.template).ok_or_else(|| JobError::permanent("INVALID", "the mail has no template"))?;
        let mail = Mail {
            id: context.job.id,
            date: context.job.created_at,
            to: payload.to,
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
        Template::AddressChangeNotice(mail) => (mail.name, Content::AddressChangeNotice),
        Template::Reminder(mail) => (
            mail.name,
            Content::Reminder {
                title: mail.title,
                due_at: timestamp(mail.due_at),
            },
        ),
    })
}

fn timestamp(timestamp: Option<prost_types::Timestamp>) -> Option<OffsetDateTime> {
    quartet_rpc::timestamp::parse(timestamp.as_ref()).ok().flatten()
}
