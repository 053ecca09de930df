//! Every registered user received one welcome mail and one mail that verifies the address, and
//! every request for a mail led to one job that sent it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::count;
use super::results::Results;
use crate::cluster::Cluster;
use crate::stores::Stores;
use quartet_tests::subscriber::hex_id;

/// Adds what is wrong with the mails to `results`.
pub(super) async fn check(cluster: &Cluster, results: &mut Results) -> Result<(), sqlx::Error> {
    let stores = &cluster.stores;
    let mails = read_mails(cluster);
    let sql = format!(
        "select unique_key, {}, status, cast(coalesce(length(result), 0) as text), cast(attempts as text)
           from jobs where kind = 'send_email'",
        stores.id("id")
    );
    let jobs = stores.query("jobs", &sql).await?;
    let columns = [
        stores.id("id"),
        Stores::flag("closed or email_verified"),
        "email".to_owned(),
    ];
    let accounts = stores
        .query("auth", &format!("select {} from accounts", columns.join(", ")))
        .await?;

    let job_ids: BTreeSet<&String> = jobs.iter().map(|job| &job[1]).collect();
    let lost = jobs.iter().filter(|job| {
        let [_, id, status, result, attempts] = &job[..] else {
            return true;
        };
        // A job without a result had nothing to send any more; an attempt before, whose worker was killed,
        // may have sent it.
        let is_right = match (mails.contains_key(id), result != "0") {
            (has_mail, true) => has_mail,
            (has_mail, false) => !has_mail || attempts != "1",
        };
        status != "succeeded" || !is_right
    });
    let mut wrong: Vec<String> = lost.map(|job| job.join(" ")).collect();
    let unknown = mails.keys().filter(|id| !job_ids.contains(id));
    wrong.extend(unknown.map(|id| format!("the mail {id} has no job")));
    results.add("jobs that send mails have sent one each", jobs.len(), &wrong);

    let sql = "select subject from outbox where kind = 'auth.mail.requested.v1'";
    let requests = stores.query("auth", sql).await?;
    let mut wrong = Vec::new();
    for request in &requests {
        let key = format!("mail:{}", request[0]);
        let of_request = jobs.iter().filter(|job| job[0] == key).count();
        if of_request != 1 {
            wrong.push(format!("the request {} has {of_request} jobs", request[0]));
        }
    }
    results.add("requested mails have one job each", requests.len(), &wrong);

    let mut welcomes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for job in &jobs {
        if let Some(account) = job[0].strip_prefix("welcome:") {
            welcomes.entry(hex_id(account)).or_default().push(&job[1]);
        }
    }
    let mut wrong = Vec::new();
    for account in &accounts {
        let of_account = welcomes.remove(&account[0]).unwrap_or_default();
        let is_addressed = |job: &str| mails.get(job).is_some_and(|mail| mail.contains(account[2].as_str()));
        if !matches!(of_account[..], [job] if is_addressed(job)) {
            wrong.push(format!("{}: {of_account:?}", account.join(" ")));
        }
    }
    wrong.extend(welcomes.into_keys().map(|account| format!("{account} is no account")));
    results.add("accounts received one welcome mail", accounts.len(), &wrong);

    let verifications = count(
        mails
            .values()
            .filter(|mail| mail.contains("/verify-email"))
            .filter_map(|mail| recipient(mail)),
    );
    let unverified = || accounts.iter().filter(|account| account[1] != "1");
    let missed: Vec<String> = unverified()
        .filter(|account| verifications.get(&account[2]) != Some(&1))
        .map(|account| account.join(" "))
        .collect();
    results.add(
        "unverified accounts received one verification mail",
        unverified().count(),
        &missed,
    );
    let unknown = verifications
        .keys()
        .filter(|address| !accounts.iter().any(|account| account[2] == **address));
    results.add_none("mails to unknown addresses", &unknown.cloned().collect::<Vec<_>>());
    let repeated = verifications.iter().filter(|(_, times)| **times > 1);
    let repeated: Vec<String> = repeated.map(|(address, times)| format!("{address}: {times}")).collect();
    results.add_none("verification mails that were sent more than once", &repeated);
    Ok(())
}

/// The mails, by the id in their file name.
fn read_mails(cluster: &Cluster) -> BTreeMap<String, String> {
    let entries = fs::read_dir(cluster.mail_folder()).into_iter().flatten().flatten();
    let mails = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let id = hex_id(name.strip_suffix(".eml")?);
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
