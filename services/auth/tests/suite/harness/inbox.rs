//! The folder of mails, as somebody reads it.

use std::path::Path;

use base64::Engine as _;

use super::{Auth, eventually};

/// A mail, decoded.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) body: String,
}

impl Read {
    /// The token that the mail carries.
    pub(crate) fn token(&self) -> String {
        let (_, rest) = self.body.split_once("?token=").expect("the mail has a link");
        rest.split_whitespace().next().unwrap().to_owned()
    }
}

impl Auth {
    /// The mails to this address, the oldest first, once there are `count` of them.
    pub(crate) async fn mails_to(&self, address: &str, count: usize) -> Vec<Read> {
        let mut found = Vec::new();
        eventually(async || {
            found = read_all(self.mails.path());
            found.retain(|mail| mail.to.contains(address));
            found.len() >= count
        })
        .await;
        assert_eq!(found.len(), count, "{found:?}");
        found
    }
}

fn read_all(folder: &Path) -> Vec<Read> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| read(&std::fs::read_to_string(path).unwrap()))
        .collect()
}

fn read(text: &str) -> Read {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ");
    let header = |name: &str| {
        let line = head
            .lines()
            .find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
        line.map_or("", |line| line[name.len() + 1..].trim()).to_owned()
    };
    let body = match header("content-transfer-encoding").as_str() {
        "base64" => {
            let text: String = body.split_whitespace().collect();
            String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
        }
        "quoted-printable" => quoted_printable(body),
        _ => body.to_owned(),
    };
    Read {
        to: header("to"),
        subject: header("subject"),
        body,
    }
}

fn quoted_printable(text: &str) -> String {
    let text = text.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'='
            && let Some(byte) = tail
                .get(..2)
                .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok())
        {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}
