//! Whoever was registered has been welcomed, once, and asked to prove their address.

use std::collections::{BTreeMap, BTreeSet};
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

    let asked: BTreeSet<&String> = tasks.iter().map(|task| &task[1]).collect();
    let lost = tasks
        .iter()
        .filter(|task| task[2] != "succeeded" || !mails.contains_key(&task[1]));
    let mut wrong: Vec<String> = lost.map(|task| task.join(" ")).collect();
    let unasked = mails.keys().filter(|id| !asked.contains(id));
    wrong.extend(unasked.map(|id| format!("nobody asked for {id}")));
    findings.hold("mails are there, one for each that was asked for", tasks.len(), &wrong);

    let mut welcomes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for task in &tasks {
        if let Some(account) = task[0].strip_prefix("welcome:") {
            welcomes.entry(bare(account)).or_default().push(&task[1]);
        }
    }
    let mut wrong = Vec::new();
    for account in &accounts {
        let of_account = welcomes.remove(&account[0]).unwrap_or_default();
        let is_to = |task: &str| mails.get(task).is_some_and(|mail| mail.contains(account[2].as_str()));
        if !matches!(of_account[..], [task] if is_to(task)) {
            wrong.push(format!("{}: {of_account:?}", account.join(" ")));
        }
    }
    wrong.extend(welcomes.into_keys().map(|account| format!("{account} is nobody")));
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
