//! Everybody who was registered can sign in and has one user; everybody who left is gone everywhere, once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::tally;
use crate::audit::effects;
use crate::books::Books;
use crate::client::PASSWORD;
use crate::findings::Findings;
use crate::ledger::{Departure, Person, bare};
use crate::stage::Stage;

pub(super) async fn check(stage: &Stage, people: &[Person], findings: &mut Findings) -> Result<(), sqlx::Error> {
    answers(stage, people, findings).await;
    rows(&stage.books, people, findings).await
}

/// Accounts that are closed while their users are not deleted: a deletion that fell between the two.
pub async fn half_gone(books: &Books) -> Result<Vec<String>, sqlx::Error> {
    let closed = format!("select {} from accounts where closed", books.id("id"));
    let kept = format!("select {} from users where deleted_at is null", books.id("id"));
    let (closed, kept) = (books.rows("auth", &closed).await?, books.rows("users", &kept).await?);
    Ok(closed
        .into_iter()
        .filter(|row| kept.contains(row))
        .map(|row| row[0].clone())
        .collect())
}

/// What the API says of everybody.
async fn answers(stage: &Stage, people: &[Person], findings: &mut Findings) {
    let (mut staying, mut sessions, mut left) = (0, 0, 0);
    let (mut lost, mut signed_out, mut ghosts) = (Vec::new(), Vec::new(), Vec::new());
    for person in people.iter().filter(|person| person.id.is_some()) {
        let id = person.id.clone().unwrap_or_default();
        let body = json!({"username_or_email": person.username, "password": PASSWORD});
        let login = stage.rest.post("/api/v1/auth/login", body).await;
        if person.departure != Departure::Stays {
            left += 1;
            let user = stage
                .rest
                .bearing(&person.access)
                .get(&format!("/api/v1/users/{id}"))
                .await;
            if login.status != 401 || user.status != 401 {
                ghosts.push(format!("{id} left; login {}, user {}", login.status, user.status));
            }
            continue;
        }
        staying += 1;
        let token = login.json()["access_token"].as_str().unwrap_or_default().to_owned();
        let me = stage.rest.bearing(&token).get("/api/v1/users/me").await;
        if login.status != 200 || me.status != 200 || me.json()["username"] != person.username.as_str() {
            lost.push(format!("{id}: login {}, user {}", login.text(), me.text()));
        }
        for session in &person.sessions {
            sessions += 1;
            let refreshed = stage
                .rest
                .post("/api/v1/auth/refresh", json!({"refresh_token": session}))
                .await;
            if refreshed.status != 200 {
                signed_out.push(format!("a session of {id}: {}", refreshed.text()));
            }
        }
    }
    findings.hold(
        "people whose registration was acknowledged sign in and see themselves",
        staying,
        &lost,
    );
    findings.hold(
        "sessions go on with the refresh token that was answered last",
        sessions,
        &signed_out,
    );
    findings.hold(
        "people who left cannot sign in, and their tokens are refused",
        left,
        &ghosts,
    );
}

/// What the stores hold.
async fn rows(books: &Books, people: &[Person], findings: &mut Findings) -> Result<(), sqlx::Error> {
    let sql = format!(
        "select {}, username, {} from accounts",
        books.id("id"),
        Books::flag("closed")
    );
    let accounts: BTreeMap<String, (String, bool)> = read(books, "auth", &sql).await?;
    let sql = format!(
        "select {}, username, {} from users",
        books.id("id"),
        Books::flag("deleted_at is not null")
    );
    let users: BTreeMap<String, (String, bool)> = read(books, "users", &sql).await?;
    let effects_on_users = effects(books, "users").await?;
    let made = tally(
        effects_on_users
            .iter()
            .filter(|(name, _)| name == "user made")
            .map(|(_, id)| id.clone()),
    );

    let wrong = accounts
        .keys()
        .filter(|id| made.get(*id) != Some(&1) || !users.contains_key(*id));
    let wrong: Vec<String> = wrong.map(|id| format!("{id}: made {:?} times", made.get(id))).collect();
    findings.hold("accounts have a user, which was made once", accounts.len(), &wrong);
    let mut orphans: Vec<String> = users.keys().filter(|id| !accounts.contains_key(*id)).cloned().collect();
    orphans.extend(
        effects_on_users
            .iter()
            .filter(|(name, _)| name == "user gone")
            .map(|(_, id)| format!("{id} was deleted for good")),
    );
    findings.none("users have no account", &orphans);

    let asked: BTreeSet<&str> = people.iter().map(|person| person.username.as_str()).collect();
    let root = quartet_tests::suite::ROOT.0;
    let unasked = accounts
        .values()
        .filter(|(name, _)| name != root && !asked.contains(name.as_str()));
    findings.none(
        "accounts are there that nobody asked for",
        &unasked.map(|(name, _)| name.clone()).collect::<Vec<_>>(),
    );

    let gone = people
        .iter()
        .filter(|person| person.departure != Departure::Stays)
        .filter_map(|person| person.id.as_deref())
        .map(bare);
    let gone: BTreeSet<String> = gone.collect();
    let wrong = accounts.iter().filter_map(|(id, (_, closed))| {
        let deleted = users.get(id).is_some_and(|(_, deleted)| *deleted);
        let left = gone.contains(id);
        (*closed != left || deleted != left)
            .then(|| format!("{id}: asked to go {left}, account closed {closed}, user deleted {deleted}"))
    });
    findings.hold(
        "accounts are closed, and their users deleted, exactly if that was asked for",
        accounts.len(),
        &wrong.collect::<Vec<_>>(),
    );
    departures(books, &gone, findings).await
}

/// What followed from departures, by events alone.
async fn departures(books: &Books, gone: &BTreeSet<String>, findings: &mut Findings) -> Result<(), sqlx::Error> {
    let sql = "select replace(subject, '-', '') from outbox where kind = 'users.user.deleted.v1'";
    let told = tally(books.rows("users", sql).await?.into_iter().map(|row| row[0].clone()));
    let mut wrong: Vec<String> = gone
        .iter()
        .filter(|id| told.get(*id) != Some(&1))
        .map(|id| format!("{id}: told {:?} times", told.get(id)))
        .collect();
    wrong.extend(
        told.keys()
            .filter(|id| !gone.contains(*id))
            .map(|id| format!("{id} was told to be deleted, and nobody asked")),
    );
    findings.hold("deletions were told of once", gone.len(), &wrong);

    let departed = effects(books, "todos")
        .await?
        .into_iter()
        .filter(|(name, _)| name == "user departed");
    let departed = tally(departed.map(|(_, id)| id));
    let mut wrong: Vec<String> = gone
        .iter()
        .filter(|id| departed.get(*id) != Some(&1))
        .map(|id| format!("{id}: {:?} times", departed.get(id)))
        .collect();
    wrong.extend(
        departed
            .keys()
            .filter(|id| !gone.contains(*id))
            .map(|id| format!("{id} did not leave")),
    );
    findings.hold("deletions took effect on todos once", gone.len(), &wrong);

    let sql = format!(
        "select {}, {}, {} from sessions",
        books.id("id"),
        books.id("account_id"),
        Books::flag("ended_at is not null")
    );
    let ended = effects(books, "auth")
        .await?
        .into_iter()
        .filter(|(name, _)| name == "session ended");
    let ended = tally(ended.map(|(_, id)| id));
    let sessions = books.rows("auth", &sql).await?;
    let wrong = sessions.iter().filter_map(|row| {
        let (id, left) = (&row[0], gone.contains(&row[1]));
        let times = ended.get(id).copied().unwrap_or_default();
        (times != usize::from(left) || (row[2] == "1") != left)
            .then(|| format!("session {id} of {}: left {left}, ended {times} times", row[1]))
    });
    findings.hold(
        "sessions ended once with their person, or not at all",
        sessions.len(),
        &wrong.collect::<Vec<_>>(),
    );
    Ok(())
}

/// Rows of an id, a name and a flag.
async fn read(books: &Books, service: &str, sql: &str) -> Result<BTreeMap<String, (String, bool)>, sqlx::Error> {
    let rows = books.rows(service, sql).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row[0].clone(), (row[1].clone(), row[2] == "1")))
        .collect())
}
