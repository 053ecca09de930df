//! What the suite has sent.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::App;
use crate::app::eventually;

/// The tokens of the links in the mails to `address`, once there are `count`; the oldest first.
pub async fn tokens(app: &App, address: &str, count: usize) -> Vec<String> {
    let folder = app.suite().mails();
    eventually(Duration::from_secs(10), &format!("{count} mails to {address}"), async || {
        let found = found(&folder, address);
        (found.len() >= count).then_some(found)
    })
    .await
}

/// Mails to `address` so far.
pub fn count(app: &App, address: &str) -> usize {
    found(&app.suite().mails(), address).len()
}

fn found(folder: &Path, address: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    // The names are UUIDv7, so their order is that of time.
    paths.sort();
    let mails = paths.iter().map(|path| fs::read_to_string(path).expect("a mail is text"));
    mails.filter(|mail| is_to(mail, address)).map(|mail| token(&mail)).collect()
}

fn is_to(mail: &str, address: &str) -> bool {
    mail.lines().any(|line| line.starts_with("To:") && line.contains(address))
}

/// The token of the link in `mail`, whose body may be quoted-printable (RFC 2045 §6.7).
fn token(mail: &str) -> String {
    let (headers, body) = mail.split_once("\r\n\r\n").expect("a mail has headers and a body");
    let body = if headers.to_ascii_lowercase().contains("quoted-printable") {
        body.replace("=\r\n", "").replace("=3D", "=")
    } else {
        body.to_owned()
    };
    let (_, rest) = body.split_once("?token=").expect("a mail has a link");
    rest.split_whitespace().next().expect("a link ends").to_owned()
}
