//! A carrier that hands mails to a mail server (RFC 5321), with TLS where its address says so.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use quartet_config::Secret;

use super::{Carrier, Mail, SendError, message};

/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(20);
/// Replies that judge the mail itself: no such mailbox, too large, name not allowed, refused. Others judge the moment or the sender's settings.
const JUDGEMENTS: [u16; 4] = [550, 552, 553, 554];

/// Hands mails to a mail server.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// An address that is none of a mail server.
#[derive(Debug, thiserror::Error)]
#[error("SMTP_URL: expected a mail server as `smtps://user:password@host:465`: {0}")]
pub struct InvalidServer(String);

impl Smtp {
    /// A carrier to the server at `url`. Connects when the first mail comes.
    pub fn new(url: &Secret, from: Mailbox) -> Result<Self, InvalidServer> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose())
            .map_err(|error| InvalidServer(error.to_string()))?;
        Ok(Self {
            transport: builder.timeout(Some(COMMAND)).build(),
            from,
        })
    }
}

#[async_trait]
impl Carrier for Smtp {
    async fn send(&self, mail: &Mail) -> Result<String, SendError> {
        let (message, id) = message::write(mail, &self.from)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(id),
            Err(error) => {
                let judged = error.status().is_some_and(|code| JUDGEMENTS.contains(&code.into()));
                match judged {
                    true => Err(SendError::Never(error.to_string())),
                    false => Err(SendError::Later(error.to_string())),
                }
            }
        }
    }
}
