//! The store, the same over both databases.

use quartet_auth::domain::throttle::{Attempt, Count, Mark, Policy, Subject};
use quartet_auth::domain::{MailKey, MailRequest, Purpose, Session};
use quartet_auth::store::{AccountChange, MIGRATIONS, SessionKey};
use quartet_kernel::{Language, Role};
use quartet_messaging::Message;
use quartet_proto::auth::v1 as pb;
use quartet_proto::users::v1 as users;
use quartet_store::Database;
use quartet_store::page::{Page, Start};
use time::Duration;
use uuid::Uuid;

use crate::harness::{Auth, Kind, PASSWORD, eventually, on_both, reason, start_with, with_token};

/// The live sessions of an account.
async fn sessions(auth: &Auth, account: Uuid) -> Vec<Session> {
    let page = Page {
        size: 100,
        start: Start::Number(1),
    };
    auth.store.list_sessions(account, &page, &auth.cx()).await.unwrap().rows
}

on_both! {
    async fn what_happens_to_an_account_is_published(auth) {
        let (ada, bob) = (id_of(&auth, "ada").await, id_of(&auth, "bob").await);
        let superuser = AccountChange::Role(Role::Superuser);
        for (id, change) in [
            (bob, superuser),
            (ada, superuser),
            // What does not happen is not published.
            (ada, superuser),
            (ada, AccountChange::Disabled(true)),
            (ada, AccountChange::Closed(true)),
        ] {
            auth.store.change_account(id, change, &auth.cx()).await.unwrap().unwrap();
        }
        auth.store.change_account(bob, AccountChange::Disabled(true), &auth.cx()).await.unwrap_err();
        for _ in 0..2 {
            auth.store.purge_account(ada, &auth.cx()).await.unwrap();
        }
        assert_eq!(
            published(&auth, ada).await,
            ["registered", "role_changed", "status_changed", "status_changed", "deleted"]
                .map(|what| format!("auth.account.{what}.v1"))
        );
        assert_eq!(published(&auth, bob).await.len(), 2);
    }

    async fn the_sessions_of_a_deleted_user_end_and_later_ones_do_not(auth) {
        let id = id_of(&auth, "ada").await;
        let deleted_at = auth.clock.now();
        auth.clock.advance(Duration::seconds(10));
        auth.login("ada", PASSWORD, "203.0.113.1").await.unwrap();
        let message = Message {
            time: deleted_at,
            ..Message::of(&auth.clock, id, &users::UserDeleted::default())
        };

        auth.store.consume(&[&message], &auth.cx()).await.unwrap();

        assert_eq!(auth.rows("revocations").await, 1);
        assert_eq!(sessions(&auth, id).await.len(), 1);
        let again = Message { time: auth.clock.now(), ..message };
        auth.store.consume(&[&again, &again], &auth.cx()).await.unwrap();
        assert_eq!(auth.rows("revocations").await, 1, "it was done before");
    }

    async fn a_changed_tier_is_recorded_once(auth) {
        let id = id_of(&auth, "ada").await;
        let gold = users::UserTierChanged { tier: Some("gold".into()), ..Default::default() };
        let message = Message::of(&auth.clock, id, &gold);
        auth.store.consume(&[&message], &auth.cx()).await.unwrap();
        auth.store.set_tier(id, Some("silver"), &auth.cx()).await.unwrap();
        auth.store.consume(&[&message], &auth.cx()).await.unwrap();
        let account = auth.store.find_account(id, &auth.cx()).await.unwrap().unwrap();
        assert_eq!(account.tier.as_deref(), Some("silver"));
    }

    async fn a_message_that_can_have_no_effect_leaves_none(auth) {
        let id = id_of(&auth, "ada").await;
        let gold = users::UserTierChanged { tier: Some("gold".into()), ..Default::default() };
        let right = Message::of(&auth.clock, id, &gold);
        let wrong = Message::of(&auth.clock, "nobody", &gold);
        let failure = auth.store.consume(&[&right, &wrong], &auth.cx()).await.unwrap_err();
        assert!(matches!(failure, quartet_messaging::Failure::Permanent(_)), "{failure}");
        assert_eq!(auth.store.find_account(id, &auth.cx()).await.unwrap().unwrap().tier, None);
        auth.store.consume(&[&right], &auth.cx()).await.unwrap();
        assert_eq!(auth.store.find_account(id, &auth.cx()).await.unwrap().unwrap().tier.as_deref(), Some("gold"));
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
        let account = auth.store.find_account(id, &auth.cx()).await.unwrap().unwrap();
        assert_eq!(auth.store.find_account_by_username("ann", &auth.cx()).await.unwrap().unwrap(), account);
        let holders = auth.store.find_holders("", "ann@example.org", &auth.cx()).await.unwrap();
        assert_eq!(holders, std::slice::from_ref(&account));
        assert_eq!(account.created_at, auth.clock.now());
        assert!(auth.store.find_account(auth.clock.new_id(), &auth.cx()).await.unwrap().is_none());
    }

    async fn secrets_are_kept_as_hashes_alone(auth) {
        let ann = auth.register("ann").await;
        let token = quartet_auth::domain::RefreshToken::parse(&ann.refresh_token).unwrap();
        let stored = tokens(&auth).await;
        assert_eq!(stored, [token.hash().0.to_vec()]);
        let account = auth.store.find_account_by_username("ann", &auth.cx()).await.unwrap().unwrap();
        assert!(account.password_hash.as_str().starts_with("$argon2id$"));
    }

    async fn an_end_that_is_committed_late_is_still_published(auth) {
        let ann = auth.register("ann").await;
        auth.me(&ann.access_token).await.unwrap();
        // The poller has read past this time already.
        let account = ann.user.unwrap().id.parse().unwrap();
        let late = auth.cx().at(auth.clock.now() - Duration::seconds(30));
        let ended = auth.store.end_sessions(account, &late).await.unwrap().unwrap();
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
            let cx = auth.cx();
            auth.store.prune(cx.now - Duration::hours(1), cx.now - Duration::days(90), &cx).await.unwrap();
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
        assert_eq!(auth.rows("login_attempts").await, 3);
        auth.clock.advance(Duration::days(7));
        prune().await;
        assert_eq!(count(&tables).await, [0, 0, 0, 0, 1]);
        assert_eq!(auth.rows("login_attempts").await, 0);
        assert_eq!(auth.rows("accounts").await, 1);
    }

    async fn a_login_of_a_password_that_changed_meanwhile_opens_no_session(auth) {
        let ann = auth.register("ann").await;
        let account = auth.store.find_account_by_username("ann", &auth.cx()).await.unwrap().unwrap();
        let request = pb::ChangePasswordRequest {
            current_password: PASSWORD.into(),
            new_password: "another good password".into(),
        };
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
                authenticated_at: auth.clock.now(),
                assurance: quartet_auth::domain::Assurance::Password,
                expires_at: auth.clock.now() + Duration::days(1),
                client_id: None,
                ended: None,
            },
            token_hash: quartet_auth::domain::TokenHash([2; 32]),
        };
        let attempt = attempt(&auth);
        let opened = auth.store.open_session(&session, &account.password_hash, &attempt, 100, &auth.cx()).await;
        assert!(opened.unwrap().is_none());
        assert_eq!(auth.rows("sessions").await, 1);
    }

    async fn a_login_past_the_limit_ends_the_session_that_was_used_least_recently(auth) {
        auth.register("ann").await;
        let account = auth.store.find_account_by_username("ann", &auth.cx()).await.unwrap().unwrap();
        let first = sessions(&auth, account.id).await[0].id;
        let mut opened = vec![first];
        for number in 1..4_u8 {
            auth.clock.advance(Duration::seconds(1));
            let session = quartet_auth::store::NewSession {
                session: quartet_auth::domain::Session {
                    id: auth.clock.new_id(),
                    account_id: account.id,
                    secret: [number; 32],
                    user_agent: String::new(),
                    ip_address: String::new(),
                    created_at: auth.clock.now(),
                    last_used_at: auth.clock.now(),
                    authenticated_at: auth.clock.now(),
                    assurance: quartet_auth::domain::Assurance::Password,
                    expires_at: auth.clock.now() + Duration::days(1),
                    client_id: None,
                ended: None,
                },
                token_hash: quartet_auth::domain::TokenHash([number; 32]),
            };
            opened.push(session.session.id);
            let attempt = attempt(&auth);
            let signed_in =
                auth.store.open_session(&session, &account.password_hash, &attempt, 2, &auth.cx()).await.unwrap();
            assert_eq!(signed_in.map(|account| account.username), Some("ann".to_owned()));
        }
        let live = sessions(&auth, account.id).await;
        let live: Vec<_> = live.into_iter().map(|session| session.id).collect();
        assert_eq!(live, [opened[3], opened[2]]);
        let ended = auth.store.list_ended(None, &auth.cx()).await.unwrap();
        let ended: Vec<_> = ended.into_iter().map(|session| session.id).collect();
        assert_eq!(ended, opened[..2], "every process learns of them");
    }

    async fn sessions_are_listed_in_pages(auth) {
        let id: Uuid = auth.register("ann").await.user.unwrap().id.parse().unwrap();
        // Of one moment: their ids decide.
        for _ in 0..3 {
            auth.login("ann", PASSWORD, "192.0.2.1").await.unwrap();
        }
        auth.clock.advance(Duration::seconds(1));
        auth.login("ann", PASSWORD, "192.0.2.1").await.unwrap();
        let all: Vec<_> = sessions(&auth, id).await.iter().map(|session| session.id).collect();
        assert_eq!(all.len(), 5);
        let list = async |start| {
            let page = Page { size: 2, start };
            let page = auth.store.list_sessions(id, &page, &auth.cx()).await.unwrap();
            assert_eq!(page.total, 5);
            page
        };
        let mut page = list(Start::Number(1)).await;
        let mut seen = Vec::new();
        loop {
            seen.extend(page.rows.iter().map(|session| session.id));
            if !page.has_more {
                break;
            }
            let key = SessionKey::of(page.rows.last().unwrap());
            page = list(Start::After { key, total: 5, total_is_exact: true }).await;
        }
        assert_eq!(seen, all);
        let third = list(Start::Number(3)).await;
        assert_eq!((third.rows[0].id, third.rows.len(), third.has_more), (all[4], 1, false));
        assert!(list(Start::Number(4)).await.rows.is_empty(), "past the last page");
    }

    async fn attempts_at_one_mail_at_once_get_one_token(auth) {
        auth.register("ann").await;
        let requested = auth.requests().await.remove(0);
        let auth = std::sync::Arc::new(auth);
        let attempts: Vec<_> = (0..8).map(|_| {
            let (auth, requested) = (auth.clone(), requested.clone());
            tokio::spawn(async move { auth.issue(&requested).await.unwrap().token() })
        }).collect();
        let mut tokens = std::collections::BTreeSet::new();
        for attempt in attempts {
            tokens.insert(attempt.await.unwrap());
        }
        assert_eq!((tokens.len(), auth.rows("mail_tokens").await), (1, 1));
    }

    async fn an_attempt_counts_all_or_nothing(auth) {
        let made = attempt(&auth);
        assert!(auth.store.count_attempt(&made, &auth.cx()).await.unwrap());
        assert_eq!(auth.rows("login_attempts").await, 3);
        // The rows are there, and were not when it was made.
        assert!(!auth.store.count_attempt(&made, &auth.cx()).await.unwrap());
        let now = auth.clock.now();
        let with = |mark: &Mark| Mark::new(mark.subject, &mark.address, POLICY, Some(mark.after), now).unwrap();
        let stale = Attempt { name: made.name.clone(), pair: with(&made.pair), ..made.clone() };
        assert!(!auth.store.count_attempt(&stale, &auth.cx()).await.unwrap(), "two of the three have changed");
        let next = Attempt {
            pair: with(&made.pair),
            name: made.name.as_ref().map(with),
            origin: made.origin.as_ref().map(with),
        };
        assert!(auth.store.count_attempt(&next, &auth.cx()).await.unwrap(), "the failed one has counted nothing");
        auth.store.withdraw_attempt(&next, &auth.cx()).await.unwrap();
        assert!(auth.store.count_attempt(&next, &auth.cx()).await.unwrap(), "it was taken back as a whole");
        auth.store.clear_attempt(&next, &auth.cx()).await.unwrap();
        assert_eq!(auth.rows("login_attempts").await, 2, "its address is forgotten");
        let left = failures(&auth).await;
        assert_eq!(left, [1, 1], "its own is taken back over all addresses and all names");
    }

    async fn attempts_that_cost_no_delay_add_up_in_any_order(auth) {
        let now = auth.clock.now();
        let first = attempt(&auth);
        assert!(auth.store.count_attempt(&first, &auth.cx()).await.unwrap());
        let next = |mark: &Mark, at| Mark::new(mark.subject, &mark.address, POLICY, Some(mark.after), at).unwrap();
        let at = |at| Attempt { pair: next(&first.pair, at), name: None, origin: None };
        // Both were made of the same count, and the one that comes later has read the clock earlier.
        for at in [at(now + Duration::seconds(1)), at(now)] {
            assert!(auth.store.count_attempt(&at, &auth.cx()).await.unwrap());
        }
        let fourth = at(now);
        assert!(auth.store.count_attempt(&fourth, &auth.cx()).await.unwrap());
        assert!(!auth.store.count_attempt(&fourth, &auth.cx()).await.unwrap(), "the fifth costs a delay");
        assert_eq!(failures(&auth).await, [1, 1, 4]);
        // One that costs a delay counts only where it was made of what is there.
        let guess = |pair: Count| Attempt {
            pair: Mark::new(first.pair.subject, &first.pair.address, POLICY, Some(pair), now).unwrap(),
            name: None,
            origin: None,
        };
        let read = Count { failures: 4, attempted_at: now + Duration::seconds(1), blocked_until: now };
        let stale = Count { attempted_at: now, ..read };
        assert!(!auth.store.count_attempt(&guess(stale), &auth.cx()).await.unwrap());
        assert!(auth.store.count_attempt(&guess(read), &auth.cx()).await.unwrap());
        assert_eq!(failures(&auth).await, [1, 1, 5]);
    }

    async fn attempts_at_once_from_one_address_are_all_counted(auth) {
        let auth = std::sync::Arc::new(auth);
        let tries: Vec<_> = (0..20).map(|n| {
            let auth = auth.clone();
            tokio::spawn(async move { reason(&auth.login(&format!("name{n}"), "not the password", "192.0.2.7").await) })
        }).collect();
        for tried in tries {
            assert_eq!(tried.await.unwrap(), "INVALID_CREDENTIALS");
        }
        // A pair and a name each, and the address.
        assert_eq!(auth.rows("login_attempts").await, 41);
        assert_eq!(failures(&auth).await.pop(), Some(20));
    }
}

const POLICY: Policy = Policy {
    free: 5,
    base: std::time::Duration::from_secs(1),
    max: std::time::Duration::from_secs(60),
    memory: std::time::Duration::from_secs(3_600),
    forgiven_every: None,
};

/// Every count of failures, in order.
async fn failures(auth: &Auth) -> Vec<i32> {
    let sql = "select failures from login_attempts order by failures";
    match auth.database() {
        Database::Postgres(database) => sqlx::query_scalar(sql).fetch_all(database.pool()).await,
        Database::Sqlite(database) => sqlx::query_scalar(sql).fetch_all(database.pool()).await,
    }
    .unwrap()
}

/// The first attempt from an address, with a name that nobody has.
fn attempt(auth: &Auth) -> Attempt {
    let mark = |subject, address: &str| Mark::new(subject, address, POLICY, None, auth.clock.now()).unwrap();
    Attempt {
        pair: mark(Subject::of("nobody"), "192.0.2.1"),
        name: Some(mark(Subject::of("nobody"), "*")),
        origin: Some(mark(Subject::AnyName, "192.0.2.1")),
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
    let (store, cx) = (auth.store.clone(), auth.cx());
    let purge = tokio::spawn(async move { store.purge_account(id, &cx).await });
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
    let account = auth.store.find_account(id, &auth.cx()).await.unwrap().unwrap();
    let request = MailRequest {
        id: auth.clock.new_id(),
        purpose: Purpose::PasswordReset,
        email_key: "ann@example.org".into(),
        account_id: None,
        requested_by: None,
    };
    let issued = auth
        .store
        .issue_mail(&request, &MailKey::new([7; 32]), &auth.cx())
        .await;
    let token = issued.unwrap().unwrap().token.hash();
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
    let (store, cx) = (auth.store.clone(), auth.cx());
    let hash = account.password_hash.clone();
    let reset = tokio::spawn(async move { store.reset_password(token, &hash, Language::English, &cx).await });
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
    // Were the token locked, the two would wait for each other, and the database would break one of
    // them off.
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

/// The kinds of what is published about an account, in order.
pub(crate) async fn published(auth: &Auth, id: Uuid) -> Vec<String> {
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
