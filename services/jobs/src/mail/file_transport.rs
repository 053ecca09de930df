//! Writes mails as `.eml` files into a folder.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lettre::message::Mailbox;
use quartet_kernel::Failure;

use super::{Mail, Transport, message};
use crate::files::{private_file, private_folder};

/// Writes mails into a folder.
pub struct FileTransport {
    folder: PathBuf,
    from: Mailbox,
}

impl FileTransport {
    /// Writes into `folder`, which is made for the first mail.
    pub fn new(folder: impl Into<PathBuf>, from: Mailbox) -> Self {
        Self {
            folder: folder.into(),
            from,
        }
    }
}

#[async_trait]
impl Transport for FileTransport {
    async fn send(&self, mail: &Mail) -> Result<String, Failure> {
        let (message, id) = message::write(mail, &self.from)?;
        let (folder, bytes, name) = (self.folder.clone(), message.formatted(), format!("{}.eml", mail.id));
        let written = tokio::task::spawn_blocking(move || write(&folder, &name, &bytes)).await;
        let transient = |error: &dyn std::error::Error| Failure::Transient(error.to_string());
        written
            .map_err(|error| transient(&error))?
            .map_err(|error| transient(&error))?;
        Ok(id)
    }
}

/// Writes a file whole or not at all: no reader of the folder sees a part of a mail.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    private_folder(folder)?;
    let unfinished = folder.join(format!(".{name}.part"));
    let mut file = private_file(&unfinished)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    std::fs::rename(unfinished, folder.join(name))
}

#[cfg(test)]
mod tests {
    use quartet_kernel::Language;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::mail::Content;

    fn mail(to: &str) -> Mail {
        Mail {
            id: Uuid::from_u128(5),
            date: datetime!(2026-01-01 12:00 UTC),
            to: to.into(),
            name: "Анна\r\nBcc: all@example.com".into(),
            language: Language::Russian,
            content: Content::Reminder {
                title: "Купить молоко".into(),
                due_at: Some(datetime!(2026-01-02 08:30 UTC)),
            },
        }
    }

    #[tokio::test]
    async fn a_mail_that_is_sent_again_is_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let transport = FileTransport::new(folder.path(), "Quartet <no-reply@quartet.example>".parse().unwrap());
        let path = folder.path().join(format!("{}.eml", Uuid::from_u128(5)));
        let mut seen = Vec::new();
        for _ in 0..2 {
            let id = transport.send(&mail("anna@example.com")).await.unwrap();
            assert_eq!(id, format!("<{}@quartet.example>", Uuid::from_u128(5)));
            seen.push(std::fs::read(&path).unwrap());
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let text = String::from_utf8(seen.remove(0)).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    }

    #[tokio::test]
    async fn a_mail_without_a_valid_address_fails_permanently() {
        let folder = tempfile::tempdir().unwrap();
        let transport = FileTransport::new(folder.path(), "no-reply@quartet.example".parse().unwrap());
        assert!(matches!(
            transport.send(&mail("nowhere")).await,
            Err(Failure::Permanent(_))
        ));
    }
}
