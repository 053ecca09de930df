//! Sends one mail.
//!
//! Once: a mail server cannot be asked whether it has a mail, so one whose worker died after sending is sent again, with the `Message-ID` and date of
//! the first, by which mail programs show it once. As a file, it is the same file.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::send_email::Template;
use time::OffsetDateTime;

use super::Dependencies;
use crate::mail::{Language, Mail, SendError, Text};
use crate::workers::{Done, JobContext, JobError, JobHandler};

pub(super) struct SendEmail(pub(super) Arc<Dependencies>);

#[async_trait]
impl JobHandler for SendEmail {
    fn timeout(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn run(&self, context: &JobContext) -> Result<Done, JobError> {
        let payload: pb::SendEmail = context.payload()?;
        let (name, text) =
            text(payload.template).ok_or_else(|| JobError::permanent("INVALID", "the mail says nothing"))?;
        let mail = Mail {
            id: context.job.id,
            date: context.job.created_at,
            to: payload.to,
            name,
            language: Language::of(&payload.language),
            text,
        };
        match self.0.mails.send(&mail).await {
            Ok(message_id) => Ok(Done::with(&pb::SendEmailResult { message_id })),
            Err(SendError::Later(reason)) => Err(JobError::transient("UNAVAILABLE", reason)),
            Err(SendError::Never(reason)) => Err(JobError::permanent("REFUSED", reason)),
        }
    }
}

/// Whom the mail greets, and what it says.
fn text(template: Option<Template>) -> Option<(String, Text)> {
    Some(match template? {
        Template::Welcome(mail) => (mail.name, Text::Welcome),
        Template::Verify(mail) => (
            mail.name,
            Text::Verify {
                link: mail.link,
                token: mail.token,
                until: moment(mail.expires_at),
            },
        ),
        Template::Reset(mail) => (
            mail.name,
            Text::Reset {
                link: mail.link,
                token: mail.token,
                until: moment(mail.expires_at),
            },
        ),
        Template::AddressChange(mail) => (
            mail.name,
            Text::AddressChange {
                link: mail.link,
                token: mail.token,
                until: moment(mail.expires_at),
            },
        ),
        Template::AddressChangeNotice(mail) => (mail.name, Text::AddressChangeNotice),
        Template::Reminder(mail) => (
            mail.name,
            Text::Reminder {
                title: mail.title,
                due_at: moment(mail.due_at),
            },
        ),
    })
}

fn moment(timestamp: Option<prost_types::Timestamp>) -> Option<OffsetDateTime> {
    quartet_rpc::moment::parse(timestamp.as_ref()).ok().flatten()
}
