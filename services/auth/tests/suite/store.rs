//! The store, the same over both databases.

use quartet_auth::domain::{EndReason, Purpose};
use quartet_auth::store::{AccountChange, Ending, MIGRATIONS, MailRequest};
use quartet_kernel::Role;
use quartet_proto::auth::v1 as pb;
use quartet_store::Database;
use time::Duration;
use uuid::Uuid;

use crate::harness::{Auth, Kind, PASSWORD, eventually, reason, soon, start_with, with_token};

/// Each test twice: over SQLite, and over PostgreSQL where a server is told.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($auth:ident) $body:block)*) => {
        mod sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::cases::$name(start_with(Kind::Sqlite, &[]).await).await; })*
        }
        mod postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs PostgreSQL: make test"]
            async fn $name() { super::cases::$name(start_with(Kind::Postgres, &[]).await).await; })*
        }
        mod cases {
            use super::*;
            $($(#[$meta])* pub(super) async fn $name($auth: Auth) $body)*
        }
    };
}

on_both! {
    async fn what_happens_to_an_account_is_told_of(auth) {
        let (ada, bob) = (id_of(&auth, "ada").await, id_of(&auth, "bob").await);
        let now = auth.clock.now();
        let ending = Ending { reason: EndReason::Account, now, forget_at: now };
        let superuser = AccountChange::Role(Role::Superuser);
        for (id, change) in [
            (bob, superuser),
            (ada, superuser),
            // What does not happen is not told of.
            (ada, superuser),
            (ada, AccountChange::Disabled(true)),
            (ada, AccountChange::Closed(true)),
        ] {
            auth.store.change_account(id, change, ending, soon()).await.unwrap().unwrap();
        }
        auth.store.change_account(bob, AccountChange::Disabled(true), ending, soon()).await.unwrap_err();
        for _ in 0..2 {
            auth.store.purge_account(ada, ending, soon()).await.unwrap();
        }
        assert_eq!(
            told(&auth, ada).await,
            ["registered", "role_changed", "status_changed", "status_changed", "deleted"].map(|what| format!("auth.account.{what}.v1"))
        );
        assert_eq!(told(&auth, bob).await.len(), 2);
    }

    async fn the_sessions_of_a_deleted_user_end_and_later_ones_do_not(auth) {
        let id = id_of(&auth, "ada").await;
        let deleted_at = auth.clock.now();
        auth.clock.advance(Duration::seconds(10));
        auth.login("ada", PASSWORD, "203.0.113.1").await.unwrap();
        let ending = Ending { reason: EndReason::Account, now: auth.clock.now(), forget_at: auth.clock.now() };
        let message = auth.clock.new_id();

        let ended = auth.store.user_deleted(message, id, deleted_at, ending, soon()).await.unwrap();

        assert_eq!(ended.len(), 1);
        assert_eq!(auth.store.list_sessions(id, auth.clock.now(), soon()).await.unwrap().len(), 1);
        let again = auth.store.user_deleted(message, id, auth.clock.now(), ending, soon()).await.unwrap();
        assert!(again.is_empty(), "it was done before");
    }

    async fn a_changed_tier_is_noted_once(auth) {
        let id = id_of(&auth, "ada").await;
        let (message, now) = (auth.clock.new_id(), auth.clock.now());
        auth.store.user_tier_changed(message, id, Some("gold"), now, soon()).await.unwrap();
        auth.store.user_tier_changed(message, id, None, now, soon()).await.unwrap();
        assert_eq!(auth.store.find_account(id, soon()).await.unwrap().unwrap().tier.as_deref(), Some("gold"));
    }

    async fn migrations_go_forward_and_back(auth) {
        auth.stop();
        let database = auth.database();
        let status = MIGRATIONS.status(database).await.unwrap();
        assert!(!status.is_empty() && status.iter().all(|standing| standing.applied));
        while MIGRATIONS.down(database).await.unwrap().is_some() {}
        assert!(MIGRATIONS.status(database).await.unwrap().iter().all(|standing| !standing.applied));
        MIGRATIONS.up(database).await.unwrap();
        assert_eq!(auth.rows("accounts").await, 0);
    }

    async fn an_account_is_found_by_each_of_its_names(auth) {
        let user = auth.register("ann").await.user.unwrap();
        let id: uuid::Uuid = user.id.parse().unwrap();
        let account = auth.store.find_account(id, soon()).await.unwrap().unwrap();
        assert_eq!(auth.store.find_account_by_username("ann", soon()).await.unwrap().unwrap(), account);
        assert_eq!(auth.store.find_account_by_email("ann@example.org", soon()).await.unwrap().unwrap(), account);
        assert_eq!(account.created_at, auth.clock.now());
        assert!(auth.store.find_account(auth.clock.new_id(), soon()).await.unwrap().is_none());
    }

    async fn secrets_are_kept_as_hashes_alone(auth) {
        let ann = auth.register("ann").await;
        let token = quartet_auth::domain::RefreshToken::parse(&ann.refresh_token).unwrap();
        let stored = tokens(&auth).await;
        assert_eq!(stored, [token.hash().0.to_vec()]);
        let account = auth.store.find_account_by_username("ann", soon()).await.unwrap().unwrap();
        assert!(account.password_hash.as_str().starts_with("$argon2id$"));
    }

    async fn an_end_that_is_committed_late_is_still_told(auth) {
        let ann = auth.register("ann").await;
        auth.me(&ann.access_token).await.unwrap();
        // The poller has looked past this moment already.
        let account = ann.user.unwrap().id.parse().unwrap();
        let now = auth.clock.now();
        let ending = Ending {
            reason: EndReason::Logout,
            now: now - Duration::seconds(30),
            forget_at: now + Duration::minutes(15),
        };
        let ended = auth.store.end_sessions(account, ending, soon()).await.unwrap();
        assert_eq!(ended.len(), 1);
        auth.until_revoked(&ann.access_token).await;
    }

    async fn what_has_expired_is_pruned_and_nothing_else(auth) {
        let ann = auth.register("ann").await;
        let request = with_token(pb::LogoutRequest {}, &ann.access_token);
        auth.client.clone().logout(request).await.unwrap();
        assert_eq!(reason(&auth.login("ann", "not the password", "").await), "INVALID_CREDENTIALS");
        auth.mails_to("ann@example.org", 1).await;
        let prune = async || {
            let now = auth.clock.now();
            auth.store.prune(now, now - Duration::hours(1), soon()).await.unwrap();
        };
        prune().await;
        let count = async |tables: &[&str]| {
            let mut counts = Vec::new();
            for table in tables {
                counts.push(auth.rows(table).await);
            }
            counts
        };
        let tables = ["sessions", "refresh_tokens", "revocations", "mail_tokens", "signing_keys"];
        assert_eq!(count(&tables).await, [1, 1, 1, 1, 1]);
        assert_eq!(auth.rows("login_attempts").await, 2);
        auth.clock.advance(Duration::days(7));
        prune().await;
        assert_eq!(count(&tables).await, [0, 0, 0, 0, 1]);
        assert_eq!(auth.rows("login_attempts").await, 0);
        assert_eq!(auth.rows("accounts").await, 1);
    }

    async fn a_login_of_a_password_that_changed_meanwhile_opens_no_session(auth) {
        let ann = auth.register("ann").await;
        let account = auth.store.find_account_by_username("ann", soon()).await.unwrap().unwrap();
        let request = pb::ChangePasswordRequest { current_password: PASSWORD.into(), new_password: "another good password".into() };
        auth.client.clone().change_password(with_token(request, &ann.access_token)).await.unwrap();
        let session = quartet_auth::store::NewSession {
            session: quartet_auth::domain::Session {
                id: auth.clock.new_id(),
                account_id: account.id,
                secret: [1; 32],
                user_agent: String::new(),
                ip_address: String::new(),
                created_at: auth.clock.now(),
                last_used_at: auth.clock.now(),
                expires_at: auth.clock.now() + Duration::days(1),
                ended: None,
            },
            token_hash: quartet_auth::domain::TokenHash([2; 32]),
        };
        let opened = auth.store.insert_session(&session, &account.password_hash, soon()).await.unwrap();
        assert!(opened.is_none());
    }

    async fn one_request_is_claimed_by_one_postman(auth) {
        // The service's own postman is out of the way.
        auth.stopped().await;
        for n in 0..20 {
            let request = MailRequest { purpose: Purpose::PasswordReset, email_key: format!("nobody{n}@example.org"), language: String::new() };
            auth.store.request_mail(&request, auth.clock.now(), soon()).await.unwrap();
            auth.store.request_mail(&request, auth.clock.now(), soon()).await.unwrap();
        }
        let lease = std::time::Duration::from_secs(30);
        let claims: Vec<_> = (0..4).map(|_| {
            let (store, now) = (auth.store.clone(), auth.clock.now());
            tokio::spawn(async move {
                let mut claimed = Vec::new();
                // A claim that lost a race brings nothing, though others wait.
                for _ in 0..30 {
                    claimed.extend(store.claim_mail(now, lease, soon()).await.unwrap().map(|request| request.email_key));
                }
                claimed
            })
        }).collect();
        let mut all = Vec::new();
        for claim in claims {
            all.extend(claim.await.unwrap());
        }
        all.sort();
        let claimed = all.len();
        all.dedup();
        assert_eq!((claimed, all.len()), (20, 20), "each once");
    }
}

/// On PostgreSQL alone: SQLite has one writer.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_session_that_opens_while_its_account_is_purged_ends_with_it() {
    let auth = start_with(Kind::Postgres, &[]).await;
    let id = id_of(&auth, "ann").await;
    let Database::Postgres(database) = auth.database() else {
        panic!("the database is PostgreSQL");
    };
    let mut login = database.pool().begin().await.unwrap();
    sqlx::query("select * from accounts where id = $1 for update")
        .bind(id)
        .execute(&mut *login)
        .await
        .unwrap();
    let now = auth.clock.now();
    let ending = Ending {
        reason: EndReason::Account,
        now,
        forget_at: now + Duration::minutes(15),
    };
    let store = auth.store.clone();
    let purge = tokio::spawn(async move { store.purge_account(id, ending, soon()).await });
    // The purge is at the lock.
    eventually(async || {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        waiting > 0
    })
    .await;
    let session = auth.clock.new_id();
    sqlx::query(
        "insert into sessions (id, account_id, secret, user_agent, ip_address, created_at, last_used_at, expires_at)
         values ($1, $2, '', '', '', $3, $3, $4)",
    )
    .bind(session)
    .bind(id)
    .bind(quartet_store::Timestamp(now))
    .bind(quartet_store::Timestamp(now + Duration::days(1)))
    .execute(&mut *login)
    .await
    .unwrap();
    login.commit().await.unwrap();

    let ended = purge.await.unwrap().unwrap();
    assert!(ended.iter().any(|ended| ended.id == session), "{ended:?}");
}

/// On PostgreSQL alone: SQLite has one writer.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_reset_waits_for_the_account_before_it_takes_its_token() {
    let auth = start_with(Kind::Postgres, &[]).await;
    let id = id_of(&auth, "ann").await;
    let account = auth.store.find_account(id, soon()).await.unwrap().unwrap();
    let token = quartet_auth::domain::TokenHash([7; 32]);
    let request = MailRequest {
        purpose: Purpose::PasswordReset,
        email_key: "ann@example.org".into(),
        language: String::new(),
    };
    let now = auth.clock.now();
    auth.store
        .insert_mail_token(token, id, &request, now, soon())
        .await
        .unwrap();
    let Database::Postgres(database) = auth.database() else {
        panic!("the database is PostgreSQL");
    };
    // As a change of the password goes: the account, then its tokens.
    let mut change = database.pool().begin().await.unwrap();
    sqlx::query("select * from accounts where id = $1 for update")
        .bind(id)
        .execute(&mut *change)
        .await
        .unwrap();
    let ending = Ending {
        reason: EndReason::Password,
        now,
        forget_at: now,
    };
    let store = auth.store.clone();
    let hash = account.password_hash.clone();
    let reset = tokio::spawn(async move { store.reset_password(token, &hash, ending, soon()).await });
    eventually(async || {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        waiting > 0
    })
    .await;
    // Were the token locked, the two would wait for each other, and the database would break one of them off.
    sqlx::query("delete from mail_tokens where account_id = $1")
        .bind(id)
        .execute(&mut *change)
        .await
        .unwrap();
    change.commit().await.unwrap();
    assert!(
        reset.await.unwrap().unwrap().is_none(),
        "the change has voided the token"
    );
}

async fn tokens(auth: &Auth) -> Vec<Vec<u8>> {
    const SELECT: &str = "select token_hash from refresh_tokens";
    match auth.database() {
        Database::Sqlite(database) => sqlx::query_scalar(SELECT).fetch_all(database.pool()).await.unwrap(),
        Database::Postgres(database) => sqlx::query_scalar(SELECT).fetch_all(database.pool()).await.unwrap(),
    }
}

/// The id of a new account.
async fn id_of(auth: &Auth, username: &str) -> Uuid {
    auth.register(username).await.user.unwrap().id.parse().unwrap()
}

/// The kinds of what is told of an account, in order.
async fn told(auth: &Auth, id: Uuid) -> Vec<String> {
    let sql = "select kind from outbox where subject = $1 order by seq";
    match auth.database() {
        Database::Postgres(database) => sqlx::query_scalar(sql)
            .bind(id.to_string())
            .fetch_all(database.pool())
            .await
            .unwrap(),
        Database::Sqlite(database) => sqlx::query_scalar(sql)
            .bind(id.to_string())
            .fetch_all(database.pool())
            .await
            .unwrap(),
    }
}

#[test]
fn the_tables_of_messages_are_those_of_the_crate() {
    quartet_messaging::schema::assert_copied(&MIGRATIONS);
}
