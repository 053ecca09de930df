//! Superusers, and the roles that they give.

use std::sync::Arc;

use quartet_proto::auth::v1 as pb;

use crate::harness::{Auth, Kind, PASSWORD, reason, start, start_with, with_token};

#[tokio::test]
async fn another_role_ends_the_sessions_that_speak_for_the_old_one() {
    let auth = start().await;
    let (_, root) = auth.superuser("root").await;
    let ann = auth.register("ann").await;
    let id = ann.user.unwrap().id;
    let mut client = auth.client.clone();
    let mut set = async |role: pb::Role| {
        let request = pb::SetRoleRequest {
            account_id: id.clone(),
            role: role as i32,
            etag: String::new(),
        };
        client
            .set_role(with_token(request, &root))
            .await
            .map(tonic::Response::into_inner)
    };
    assert_eq!(set(pb::Role::Superuser).await.unwrap().role(), pb::Role::Superuser);
    auth.until_revoked(&ann.access_token).await;
    assert_eq!(reason(&auth.refresh(&ann.refresh_token).await), "INVALID_REFRESH_TOKEN");
    let last = auth.users.calls().pop().unwrap();
    assert_eq!(last.role, quartet_proto::users::v1::UserRole::RoleSuperuser as i32);

    let again = auth.login("ann", PASSWORD, "").await.unwrap();
    // The same role changes nothing.
    set(pb::Role::Superuser).await.unwrap();
    auth.refresh(&again.refresh_token).await.unwrap();
    assert_eq!(reason(&set(pb::Role::Unspecified).await), "VALIDATION_FAILED");
}

#[tokio::test]
async fn the_last_superuser_stays() {
    let auth = start().await;
    let (id, root) = auth.superuser("root").await;
    let mut client = auth.client.clone();
    let demotion = pb::SetRoleRequest {
        account_id: id.clone(),
        role: pb::Role::User as i32,
        etag: String::new(),
    };
    assert_eq!(
        reason(&client.set_role(with_token(demotion.clone(), &root)).await),
        "LAST_SUPERUSER"
    );
    let bar = pb::SetStatusRequest {
        account_id: id.clone(),
        status: pb::AccountStatus::Disabled as i32,
        etag: String::new(),
    };
    assert_eq!(
        reason(&client.set_status(with_token(bar, &root)).await),
        "LAST_SUPERUSER"
    );
    let close = auth.as_service(pb::CloseAccountRequest { account_id: id.clone() });
    assert_eq!(reason(&client.close_account(close).await), "LAST_SUPERUSER");
    let purge = auth.as_service(pb::PurgeAccountRequest { account_id: id.clone() });
    assert_eq!(reason(&client.purge_account(purge).await), "LAST_SUPERUSER");

    auth.superuser("second").await;
    client.set_role(with_token(demotion, &root)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_superusers_who_demote_each_other_at_once_do_not_both_succeed() {
    demote_each_other(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn two_superusers_who_demote_each_other_at_once_do_not_both_succeed_on_postgresql() {
    demote_each_other(Kind::Postgres).await;
}

async fn demote_each_other(kind: Kind) {
    let auth = Arc::new(start_with(kind, &[]).await);
    for round in 0..5 {
        let first = auth.superuser(&format!("first{round}")).await;
        let second = auth.superuser(&format!("second{round}")).await;
        if round > 0 {
            // The survivor of the round before goes first.
            let survivors = survivors(&auth, round).await;
            for id in survivors {
                let request = pb::SetRoleRequest {
                    account_id: id,
                    role: pb::Role::User as i32,
                    etag: String::new(),
                };
                auth.client
                    .clone()
                    .set_role(with_token(request, &first.1))
                    .await
                    .unwrap();
            }
        }
        let tasks = [(first.0.clone(), second.1), (second.0, first.1)].map(|(victim, token)| {
            let auth = auth.clone();
            tokio::spawn(async move {
                let request = pb::SetRoleRequest {
                    account_id: victim,
                    role: pb::Role::User as i32,
                    etag: String::new(),
                };
                reason(&auth.client.clone().set_role(with_token(request, &token)).await)
            })
        });
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        answers.sort();
        // The loser's session may be over before their own attempt is looked at.
        assert_eq!(answers[0], "", "{answers:?}");
        assert!(
            ["LAST_SUPERUSER", "TOKEN_REVOKED"].contains(&answers[1].as_str()),
            "{answers:?}"
        );
    }
}

/// Superusers of earlier rounds.
async fn survivors(auth: &Auth, round: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for before in 0..round {
        for name in ["first", "second"] {
            let name = format!("{name}{before}");
            let account = auth.store.find_account_by_username(&name, &auth.cx()).await.unwrap();
            ids.extend(
                account
                    .filter(|a| a.role == quartet_kernel::Role::Superuser)
                    .map(|a| a.id.to_string()),
            );
        }
    }
    ids
}

#[tokio::test]
async fn a_superuser_is_made_once_and_nobody_else_is_raised() {
    use quartet_auth::Error;
    use quartet_auth::admin::{Outcome, Secret, Wanted, create_superuser};
    let auth = start().await;
    auth.register("ann").await;
    let make = async |username: &str, email: &str| {
        let wanted = Wanted {
            id: None,
            name: "",
            username,
            email,
            secret: Secret::Password(PASSWORD),
            role: quartet_kernel::Role::Superuser,
            email_verified: true,
        };
        create_superuser(&*auth.store, &auth.clock, &auth.config.own, wanted, &auth.cx()).await
    };
    assert!(matches!(make("root", "root@example.org").await, Ok(Outcome::Opened(_))));
    assert!(matches!(make("root", "root@example.org").await, Ok(Outcome::Found(_))));
    assert!(matches!(
        make("ann", "other@example.org").await,
        Err(Error::UsernameTaken)
    ));
    assert!(matches!(make("other", "Ann@example.org").await, Err(Error::EmailTaken)));
    assert!(matches!(make("ann", "Ann@example.org").await, Err(Error::EmailTaken)));
}

#[tokio::test]
async fn an_import_finds_an_account_by_both_its_names_alone() {
    use quartet_auth::Error;
    use quartet_auth::admin::{Outcome, Secret, Wanted, import_account};
    let auth = start().await;
    auth.register("ann").await;
    auth.register("bob").await;
    let import = async |username: &str, email: &str| {
        let wanted = Wanted {
            id: None,
            name: "",
            username,
            email,
            secret: Secret::Password(PASSWORD),
            role: quartet_kernel::Role::User,
            email_verified: true,
        };
        import_account(&*auth.store, &auth.clock, &auth.config.own, wanted, &auth.cx()).await
    };
    let Ok(Outcome::Found(ann)) = import("ann", "Ann@example.org").await else {
        panic!("ann is there");
    };
    assert_eq!(ann.username, "ann");
    assert!(matches!(import("ann", "bob@example.org").await, Err(Error::EmailTaken)));
    assert!(matches!(
        import("carl", "ann@example.org").await,
        Err(Error::EmailTaken)
    ));
    assert!(matches!(
        import("ann", "carl@example.org").await,
        Err(Error::UsernameTaken)
    ));
    assert!(matches!(
        import("carl", "carl@example.org").await,
        Ok(Outcome::Opened(_))
    ));
}
