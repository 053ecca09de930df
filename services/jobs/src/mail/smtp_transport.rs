//! Sends mails through a mail server (RFC 5321), with TLS where its URL requires it.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use quartet_config::Secret;
use quartet_kernel::Failure;

use super::{Mail, Transport, message};

/// How long one command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);
/// Reply codes that concern the mail itself: no such mailbox, too large, name not allowed, refused.
/// Others concern the state of the server or the settings of the sender, which change.
const PERMANENT: [u16; 4] = [550, 552, 553, 554];

/// Sends mails through a mail server.
pub struct SmtpTransport {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// The URL of the mail server is malformed.
#[derive(Debug, thiserror::Error)]
#[error("SMTP_URL: expected a mail server as `smtps://user:password@host:465`: {0}")]
pub struct InvalidServer(String);

impl SmtpTransport {
    /// Sends through the server at `url`. Connects for the first mail.
    pub fn new(url: &Secret, from: Mailbox) -> Result<Self, InvalidServer> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose())
            .map_err(|error| InvalidServer(error.to_string()))?;
        Ok(Self {
            transport: builder.timeout(Some(COMMAND_TIMEOUT)).build(),
            from,
        })
    }
}

#[async_trait]
impl Transport for SmtpTransport {
    async fn send(&self, mail: &Mail) -> Result<String, Failure> {
        let (message, id) = message::write(mail, &self.from)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(id),
            Err(error) => {
                let is_permanent = error.status().is_some_and(|code| PERMANENT.contains(&code.into()));
                match is_permanent {
                    true => Err(Failure::Permanent(error.to_string())),
                    false => Err(Failure::Transient(error.to_string())),
                }
            }
        }
    }
}
