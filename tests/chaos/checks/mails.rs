//! Whoever was registered has been welcomed, once, and asked to prove their address.

use std::collections::BTreeMap;
use std::fs;

use super::tally;
use crate::books::Books;
use crate::findings::Findings;
use crate::ledger::bare;
use crate::stage::Stage;

/// Requests for mails that the auth service has not fulfilled.
pub(super) async fn unsent(books: &Books) -> Result<usize, sqlx::Error> {
    let rows = books.rows("auth", "select email_key from mail_requests").await?;
    Ok(rows.len())
}

/// How many mails came twice, which a fall between the sending and the note of it may cause where the mail is made anew.
pub(super) async fn check(stage: &Stage, findings: &mut Findings) -> Result<usize, sqlx::Error> {
    let books = &stage.books;
    let mails = mails(stage);
    let sql = format!(
        "select unique_key, {}, status from jobs where kind = 'send_email'",
        books.id("id")
    );
    let tasks = books.rows("jobs", &sql).await?;
    let columns = [
        books.id("id"),
        Books::flag("closed or email_verified"),
        "email".to_owned(),
    ];
    let accounts = books
        .rows("auth", &format!("select {} from accounts", columns.join(", ")))
        .await?;

    let mut welcomes: BTreeMap<String, Vec<&[String]>> = BTreeMap::new();
    for task in &tasks {
        let account = task[0].strip_prefix("welcome:").unwrap_or(&task[0]);
        welcomes.entry(bare(account)).or_default().push(&task[1..]);
    }
    let mut wrong = Vec::new();
    for account in &accounts {
        let [id, _, address] = account.as_slice() else {
            unreachable!("three columns")
        };
        match welcomes.remove(id).as_deref() {
            Some([[task, status]]) => {
                let sent = mails.get(task).is_some_and(|mail| mail.contains(address.as_str()));
                if !sent || status != "succeeded" {
                    wrong.push(format!("{id}: {task} {status}, and the mail is there: {sent}"));
                }
            }
            other => wrong.push(format!("{id}: {other:?}")),
        }
    }
    wrong.extend(welcomes.into_iter().map(|other| format!("nobody asked for {other:?}")));
    findings.hold("accounts were welcomed by mail once", accounts.len(), &wrong);

    let asked = tally(
        mails
            .values()
            .filter(|mail| mail.contains("/verify-email"))
            .filter_map(|mail| recipient(mail)),
    );
    let unproven = || accounts.iter().filter(|account| account[1] != "1");
    let missed: Vec<String> = unproven()
        .filter(|account| !asked.contains_key(&account[2]))
        .map(|account| account.join(" "))
        .collect();
    findings.hold(
        "accounts were asked to prove their address",
        unproven().count(),
        &missed,
    );
    let strangers = asked
        .keys()
        .filter(|address| !accounts.iter().any(|account| account[2] == **address));
    findings.none("mails went to nobody we know", &strangers.cloned().collect::<Vec<_>>());
    Ok(asked.values().map(|times| times - 1).sum())
}

/// The mails that were written, by the id that their file is named for.
fn mails(stage: &Stage) -> BTreeMap<String, String> {
    let entries = fs::read_dir(stage.mails()).into_iter().flatten().flatten();
    let mails = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let id = bare(name.strip_suffix(".eml")?);
        Some((id, fs::read_to_string(entry.path()).ok()?))
    });
    mails.collect()
}

/// The address of the header `To: A Client <address>`.
fn recipient(mail: &str) -> Option<String> {
    let line = mail.lines().find(|line| line.starts_with("To:"))?;
    let address = line.rsplit(['<', ' ']).next()?;
    Some(address.trim_end_matches('>').to_owned())
}
