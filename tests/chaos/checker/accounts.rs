//! Every registered user can log in and has one user row; every deleted user is deleted everywhere,
//! once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::results::Results;
use super::{count, count_of};
use crate::cluster::Cluster;
use crate::effect_log;
use crate::model::{Deletion, User};
use crate::stores::Stores;
use crate::workload::PASSWORD;
use quartet_tests::subscriber::hex_id;

pub(super) async fn check(cluster: &Cluster, users: &[User], results: &mut Results) -> Result<(), sqlx::Error> {
    check_api(cluster, users, results).await;
    check_stores(&cluster.stores, users, results).await
}

/// Closed accounts whose users are not deleted: deletions that stopped between the two services.
pub async fn half_deleted(stores: &Stores) -> Result<Vec<String>, sqlx::Error> {
    let closed = format!("select {} from accounts where closed", stores.id("id"));
    let kept = format!("select {} from users where deleted_at is null", stores.id("id"));
    let (closed, kept) = (
        stores.query("auth", &closed).await?,
        stores.query("users", &kept).await?,
    );
    Ok(closed
        .into_iter()
        .filter(|row| kept.contains(row))
        .map(|row| row[0].clone())
        .collect())
}

/// Checks the users through the API.
async fn check_api(cluster: &Cluster, users: &[User], results: &mut Results) {
    let (mut active, mut sessions, mut deleted) = (0, 0, 0);
    let (mut lost, mut signed_out, mut undeleted) = (Vec::new(), Vec::new(), Vec::new());
    for user in users.iter().filter(|user| user.id.is_some()) {
        let id = user.id.clone().unwrap_or_default();
        let body = json!({"username_or_email": user.username, "password": PASSWORD});
        let login = cluster.rest.post("/api/v1/auth/login", body).await;
        if user.deletion != Deletion::NotInvoked {
            deleted += 1;
            let read = cluster
                .rest
                .with_token(&user.access_token)
                .get(&format!("/api/v1/users/{id}"))
                .await;
            if login.status != 401 || read.status != 401 {
                undeleted.push(format!("{id}: login {}, user {}", login.status, read.status));
            }
            continue;
        }
        active += 1;
        let token = login.json()["access_token"].as_str().unwrap_or_default().to_owned();
        let me = cluster.rest.with_token(&token).get("/api/v1/users/me").await;
        if login.status != 200 || me.status != 200 || me.json()["username"] != user.username.as_str() {
            lost.push(format!("{id}: login {}, user {}", login.text(), me.text()));
        }
        for token in &user.refresh_tokens {
            sessions += 1;
            let refresh = json!({"refresh_token": token});
            let refreshed = cluster.rest.post("/api/v1/auth/refresh", refresh).await;
            if refreshed.status != 200 {
                signed_out.push(format!("a session of {id}: {}", refreshed.text()));
            }
        }
    }
    results.add("registered users can log in and read themselves", active, &lost);
    results.add(
        "sessions are refreshed with the refresh token that was returned last",
        sessions,
        &signed_out,
    );
    results.add(
        "deleted users cannot log in, and their tokens are refused",
        deleted,
        &undeleted,
    );
}

/// Checks accounts and users in the stores.
async fn check_stores(stores: &Stores, users: &[User], results: &mut Results) -> Result<(), sqlx::Error> {
    let sql = format!(
        "select {}, username, {} from accounts",
        stores.id("id"),
        Stores::flag("closed")
    );
    let accounts: BTreeMap<String, (String, bool)> = read(stores, "auth", &sql).await?;
    let sql = format!(
        "select {}, username, {} from users",
        stores.id("id"),
        Stores::flag("deleted_at is not null")
    );
    let rows: BTreeMap<String, (String, bool)> = read(stores, "users", &sql).await?;
    let log = effect_log::read(stores, "users").await?;
    let created = effect_log::count(&log, "user created");

    let wrong = accounts
        .keys()
        .filter(|id| created.get(*id) != Some(&1) || !rows.contains_key(*id));
    let wrong: Vec<String> = wrong
        .map(|id| format!("{id}: created {} times", count_of(&created, id)))
        .collect();
    results.add("accounts have a user that was created once", accounts.len(), &wrong);
    let mut orphans: Vec<String> = rows.keys().filter(|id| !accounts.contains_key(*id)).cloned().collect();
    let purged = log.iter().filter(|(name, _)| name == "user purged");
    orphans.extend(purged.map(|(_, id)| format!("{id} was purged")));
    results.add_none("users without an account", &orphans);

    let invoked: BTreeSet<&str> = users.iter().map(|user| user.username.as_str()).collect();
    let root = quartet_tests::suite::ROOT.0;
    let unknown = accounts
        .values()
        .filter(|(name, _)| name != root && !invoked.contains(name.as_str()));
    results.add_none(
        "accounts that were never registered",
        &unknown.map(|(name, _)| name.clone()).collect::<Vec<_>>(),
    );

    let deleted = users
        .iter()
        .filter(|user| user.deletion != Deletion::NotInvoked)
        .filter_map(|user| user.id.as_deref())
        .map(hex_id);
    let deleted: BTreeSet<String> = deleted.collect();
    let wrong = accounts.iter().filter_map(|(id, (_, closed))| {
        let user_deleted = rows.get(id).is_some_and(|(_, deleted)| *deleted);
        let invoked = deleted.contains(id);
        (*closed != invoked || user_deleted != invoked)
            .then(|| format!("{id}: deletion invoked {invoked}, account closed {closed}, user deleted {user_deleted}"))
    });
    results.add(
        "accounts are closed and users deleted exactly where that was invoked",
        accounts.len(),
        &wrong.collect::<Vec<_>>(),
    );
    check_deletions(stores, &deleted, results).await
}

/// Checks the effects of user deletions that follow from events alone.
async fn check_deletions(
    stores: &Stores,
    deleted: &BTreeSet<String>,
    results: &mut Results,
) -> Result<(), sqlx::Error> {
    let sql = "select replace(subject, '-', '') from outbox where kind = 'users.user.deleted.v1'";
    let published = count(stores.query("users", sql).await?.into_iter().map(|row| row[0].clone()));
    let mut wrong: Vec<String> = deleted
        .iter()
        .filter(|id| published.get(*id) != Some(&1))
        .map(|id| format!("{id}: published {} times", count_of(&published, id)))
        .collect();
    wrong.extend(
        published
            .keys()
            .filter(|id| !deleted.contains(*id))
            .map(|id| format!("{id}: published without a deletion")),
    );
    results.add("deletions of users were published once", deleted.len(), &wrong);

    let log = effect_log::read(stores, "todos").await?;
    let applied = effect_log::count(&log, "user deletion");
    let mut wrong: Vec<String> = deleted
        .iter()
        .filter(|id| applied.get(*id) != Some(&1))
        .map(|id| format!("{id}: {} times", count_of(&applied, id)))
        .collect();
    wrong.extend(
        applied
            .keys()
            .filter(|id| !deleted.contains(*id))
            .map(|id| format!("{id} was not deleted")),
    );
    results.add(
        "deletions of users took effect on their todos once",
        deleted.len(),
        &wrong,
    );

    let sql = format!(
        "select {}, {}, {} from sessions",
        stores.id("id"),
        stores.id("account_id"),
        Stores::flag("ended_at is not null")
    );
    let log = effect_log::read(stores, "auth").await?;
    let ended = effect_log::count(&log, "session ended");
    let sessions = stores.query("auth", &sql).await?;
    let wrong = sessions.iter().filter_map(|row| {
        let (id, user_deleted) = (&row[0], deleted.contains(&row[1]));
        let times = count_of(&ended, id);
        (times != usize::from(user_deleted) || (row[2] == "1") != user_deleted).then(|| {
            format!(
                "session {id} of {}: deleted {user_deleted}, ended {times} times",
                row[1]
            )
        })
    });
    results.add(
        "sessions ended once with the deletion of their user, or not at all",
        sessions.len(),
        &wrong.collect::<Vec<_>>(),
    );
    Ok(())
}

/// Rows of an id, a name and a flag.
async fn read(stores: &Stores, service: &str, sql: &str) -> Result<BTreeMap<String, (String, bool)>, sqlx::Error> {
    let rows = stores.query(service, sql).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row[0].clone(), (row[1].clone(), row[2] == "1")))
        .collect())
}
