//! A carrier that writes mails as `.eml` files (RFC 5322) into a folder.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use quartet_clock::Clock;

use super::{Mail, MailError, Mailer, texts};

/// Writes mails into a folder.
pub struct Files {
    folder: PathBuf,
    from: Mailbox,
    public_url: String,
    clock: Clock,
}

impl Files {
    /// A carrier that writes into `folder`, which it makes when the first mail comes.
    pub fn new(folder: impl Into<PathBuf>, from: Mailbox, public_url: String, clock: Clock) -> Self {
        Self {
            folder: folder.into(),
            from,
            public_url,
            clock,
        }
    }
}

#[async_trait]
impl Mailer for Files {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let id = self.clock.new_id();
        let message = Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .date(self.clock.now().into())
            .from(self.from.clone())
            .to(mail.to.clone())
            .subject(texts::subject(mail))
            .header(ContentType::TEXT_PLAIN)
            .body(texts::body(mail, &self.public_url))?;
        let (folder, bytes) = (self.folder.clone(), message.formatted());
        let written = tokio::task::spawn_blocking(move || write(&folder, &format!("{id}.eml"), &bytes)).await;
        written.map_err(std::io::Error::other)??;
        Ok(())
    }
}

/// Writes a file whole or not at all: whoever looks into the folder sees no half of a mail.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let unfinished = folder.join(format!(".{name}.part"));
    let mut file = std::fs::File::create(&unfinished)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    std::fs::rename(unfinished, folder.join(name))
}
