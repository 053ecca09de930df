//! A carrier that writes mails as `.eml` files into a folder.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lettre::message::Mailbox;

use super::{Carrier, Mail, SendError, message};

/// Writes mails into a folder.
pub struct Files {
    folder: PathBuf,
    from: Mailbox,
}

impl Files {
    /// A carrier that writes into `folder`, which it makes when the first mail comes.
    pub fn new(folder: impl Into<PathBuf>, from: Mailbox) -> Self {
        Self {
            folder: folder.into(),
            from,
        }
    }
}

#[async_trait]
impl Carrier for Files {
    async fn send(&self, mail: &Mail) -> Result<String, SendError> {
        let (message, id) = message::write(mail, &self.from)?;
        let (folder, bytes, name) = (self.folder.clone(), message.formatted(), format!("{}.eml", mail.id));
        let written = tokio::task::spawn_blocking(move || write(&folder, &name, &bytes)).await;
        let later = |error: &dyn std::error::Error| SendError::Later(error.to_string());
        written.map_err(|error| later(&error))?.map_err(|error| later(&error))?;
        Ok(id)
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

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::mail::{Language, Text};

    fn mail(to: &str) -> Mail {
        Mail {
            id: Uuid::from_u128(5),
            date: datetime!(2026-01-01 12:00 UTC),
            to: to.into(),
            name: "Анна\r\nBcc: all@example.com".into(),
            language: Language::Russian,
            text: Text::Reminder {
                title: "Купить молоко".into(),
                due_at: Some(datetime!(2026-01-02 08:30 UTC)),
            },
        }
    }

    #[tokio::test]
    async fn a_mail_that_is_sent_again_is_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path(), "Quartet <no-reply@quartet.example>".parse().unwrap());
        let path = folder.path().join(format!("{}.eml", Uuid::from_u128(5)));
        let mut seen = Vec::new();
        for _ in 0..2 {
            let id = files.send(&mail("anna@example.com")).await.unwrap();
            assert_eq!(id, format!("<{}@quartet.example>", Uuid::from_u128(5)));
            seen.push(std::fs::read(&path).unwrap());
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let text = String::from_utf8(seen.remove(0)).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    }

    #[tokio::test]
    async fn a_mail_to_nowhere_is_not_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path(), "no-reply@quartet.example".parse().unwrap());
        assert!(matches!(files.send(&mail("nowhere")).await, Err(SendError::Never(_))));
    }
}
