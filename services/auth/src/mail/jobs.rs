//! The carrier of the suite: the jobs service writes mails in the reader's language, sends them, and tries again where a mail server is away.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quartet_kernel::{Deadline, text};
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::send_email::Template;
use quartet_proto::jobs::v1::task_service_client::TaskServiceClient;
use quartet_rpc::{Call, Failure, Peer, moment};
use tonic::{Code, Status};

use super::{Mail, MailError, Mailer};
use crate::domain::Purpose;

/// Bound on one call.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters of a name that a mail greets by, at the most.
const MAX_NAME: usize = 100;

/// Hands mails to the jobs service.
pub struct Jobs {
    jobs: Peer,
    public_url: String,
}

impl Jobs {
    /// A carrier that has `jobs` send mails, with links to pages of the product at `public_url`.
    pub fn new(jobs: Peer, public_url: &str) -> Self {
        Self {
            jobs,
            public_url: public_url.trim_end_matches('/').to_owned(),
        }
    }

    /// What the jobs service is asked for. The same mail makes the same request, so however often it comes, it is one job.
    fn task(&self, mail: &Mail) -> pb::SubmitTaskRequest {
        let hash = URL_SAFE_NO_PAD.encode(mail.token.hash().0);
        pb::SubmitTaskRequest {
            unique_key: format!("{}:{hash}", mail.purpose.name()),
            // Somebody looks into their inbox.
            priority: pb::TaskPriority::High.into(),
            payload: Some(pb::submit_task_request::Payload::SendEmail(pb::SendEmail {
                to: mail.to.clone(),
                language: mail.language.tag().into(),
                template: Some(self.template(mail)),
            })),
        }
    }

    fn template(&self, mail: &Mail) -> Template {
        // A mail with a part of a name is better than none; imported names may be of any length.
        let name = text::sanitize(&mail.name, MAX_NAME);
        let token = mail.token.expose();
        let link = |page: &str| format!("{}/{page}?token={token}", self.public_url);
        let expires_at = Some(moment::to_proto(mail.expires_at));
        match mail.purpose {
            Purpose::PasswordReset => Template::Reset(pb::ResetMail {
                name,
                link: link("reset-password"),
                token,
                expires_at,
            }),
            Purpose::EmailVerification => Template::Verify(pb::VerifyMail {
                name,
                link: link("verify-email"),
                token,
                expires_at,
            }),
            Purpose::EmailChange => Template::AddressChange(pb::AddressChangeMail {
                name,
                link: link("verify-email"),
                token,
                expires_at,
            }),
            Purpose::EmailChangeNotice => Template::AddressChangeNotice(pb::AddressChangeNoticeMail { name }),
        }
    }
}

#[async_trait]
impl Mailer for Jobs {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let call = Call::background("auth", Deadline::after(PATIENCE));
        let request = self.jobs.request(&call, self.task(mail)).map_err(Status::from)?;
        let mut client = TaskServiceClient::new(self.jobs.upstream());
        match call.deadline.bound(client.submit_task(request)).await {
            Ok(answer) => answer?,
            Err(late) => return Err(Status::from(Failure::from(late)).into()),
        };
        Ok(())
    }
}

impl From<Status> for MailError {
    /// What a refusal means: that jobs is away passes, as do mistakes in the settings; that it finds fault with the mail does not.
    fn from(status: Status) -> Self {
        match status.code() {
            Code::InvalidArgument | Code::AlreadyExists | Code::FailedPrecondition | Code::OutOfRange => {
                Self::Never(status.to_string())
            }
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
            | Code::Unauthenticated => Self::Later(status.to_string()),
        }
    }
}
