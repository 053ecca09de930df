//! The mails that the suite has sent.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mail_parser::MessageParser;

use crate::App;
use crate::app::eventually;

/// The page in the link of a mail that resets a password.
pub const RESET: &str = "reset-password";
/// The page in the link of a mail that verifies an address.
pub const VERIFY: &str = "verify-email";
/// The page in the link of a mail that undoes a change of address.
pub const UNDO: &str = "undo-email-change";

/// The token in the last mail to `address` that links to `page`; waits until there is one.
pub async fn token_of_link(app: &App, address: &str, page: &str) -> String {
    let folder = app.suite().mail_folder();
    eventually(Duration::from_secs(10), &format!("a mail to {address}"), async || {
        found(&folder, address, page).pop()
    })
    .await
}

/// Whether any mail with a link was sent to `address`.
pub fn was_mailed(app: &App, address: &str) -> bool {
    [RESET, VERIFY]
        .iter()
        .any(|page| !found(&app.suite().mail_folder(), address, page).is_empty())
}

/// Waits until a mail with that subject was sent to `address`; returns the number of such mails. The
/// worker that was about to send it may have been killed: then it is sent when its lease has run out.
pub async fn count_with_subject(app: &App, address: &str, subject: &str) -> usize {
    let folder = app.suite().mail_folder();
    let what = format!("a mail to {address}: {subject}");
    eventually(Duration::from_secs(60), &what, async || {
        let mails = mails(&folder);
        let count = mails
            .iter()
            .filter(|mail| mail.to == address && mail.subject == subject)
            .count();
        (count > 0).then_some(count)
    })
    .await
}

/// A mail as a mail program reads it.
struct Mail {
    to: String,
    subject: String,
    text: String,
}

fn found(folder: &Path, address: &str, page: &str) -> Vec<String> {
    let to_them = mails(folder).into_iter().filter(|mail| mail.to == address);
    to_them.filter_map(|mail| linked(&mail.text, page)).collect()
}

/// Every mail, the oldest first.
fn mails(folder: &Path) -> Vec<Mail> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    // The names are UUIDv7, so they sort by time.
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Mail {
    let bytes = fs::read(path).expect("a mail is readable");
    let message = MessageParser::default().parse(&bytes).expect("a mail parses");
    let to = message.to().and_then(|to| to.first()?.address());
    Mail {
        to: to.expect("a mail has a recipient").to_owned(),
        subject: message.subject().expect("a mail has a subject").to_owned(),
        text: message.body_text(0).expect("a mail has a text").into_owned(),
    }
}

/// The token of the link to `page` in a text.
fn linked(text: &str, page: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("/{page}?token="))?;
    rest.split_whitespace().next().map(str::to_owned)
}
