//! The mails that the suite has sent.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::App;
use crate::app::eventually;

/// The page in the link of a mail that resets a password.
pub const RESET: &str = "reset-password";
/// The page in the link of a mail that verifies an address.
pub const VERIFY: &str = "verify-email";

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

/// Waits until a mail with that subject was sent to `address`; returns the number of such mails.
pub async fn count_with_subject(app: &App, address: &str, subject: &str) -> usize {
    let folder = app.suite().mail_folder();
    let line = format!("Subject: {subject}");
    let is_it = |mail: &String| is_to(mail, address) && mail.lines().any(|found| found == line);
    let what = format!("a mail to {address}: {subject}");
    eventually(Duration::from_secs(10), &what, async || {
        let count = mails(&folder).iter().filter(|mail| is_it(mail)).count();
        (count > 0).then_some(count)
    })
    .await
}

fn found(folder: &Path, address: &str, page: &str) -> Vec<String> {
    let to_them = mails(folder).into_iter().filter(|mail| is_to(mail, address));
    to_them.filter_map(|mail| linked(&mail, page)).collect()
}

/// Every mail, the oldest first.
fn mails(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    // The names are UUIDv7, so they sort by time.
    paths.sort();
    let read = |path| fs::read_to_string(path).expect("a mail is text");
    paths.into_iter().map(read).collect()
}

fn is_to(mail: &str, address: &str) -> bool {
    mail.lines()
        .any(|line| line.starts_with("To:") && line.contains(address))
}

/// The token of the link to `page` in `mail`, whose body may be quoted-printable (RFC 2045 §6.7).
fn linked(mail: &str, page: &str) -> Option<String> {
    let (headers, body) = mail.split_once("\r\n\r\n").expect("a mail has headers and a body");
    let body = if headers.to_ascii_lowercase().contains("quoted-printable") {
        body.replace("=\r\n", "").replace("=3D", "=")
    } else {
        body.to_owned()
    };
    let (_, rest) = body.split_once(&format!("/{page}?token="))?;
    rest.split_whitespace().next().map(str::to_owned)
}
