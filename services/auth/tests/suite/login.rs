//! Logging in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration as StdDuration;

use quartet_proto::auth::v1 as pb;
use tonic_types::StatusExt;

use crate::harness::{Auth, Kind, PASSWORD, reason, start, start_with};

const HOME: &str = "192.0.2.1";

#[tokio::test]
async fn a_name_or_an_address_in_any_case_signs_in() {
    let auth = start().await;
    let account = auth.register("ann").await.user.unwrap();
    for name in ["ann", "ANN", " ann ", "ann@example.org", "Ann@EXAMPLE.org"] {
        let tokens = auth.login(name, PASSWORD, HOME).await.unwrap();
        assert_eq!(auth.me(&tokens.access_token).await.unwrap().id, account.id, "{name}");
    }
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_are_one_answer_for_the_same_work() {
    let auth = start().await;
    auth.register("ann").await;
    let wrong = auth.login("ann", "not the password", HOME).await.unwrap_err();
    assert_eq!(auth.hashing.dummies(), 0);
    let unknown = auth.login("bob", "not the password", HOME).await.unwrap_err();
    assert_eq!(auth.hashing.dummies(), 1, "the unknown name cost a hash as well");
    assert_eq!(
        (wrong.code(), wrong.message(), wrong.details()),
        (unknown.code(), unknown.message(), unknown.details())
    );
    assert_eq!(reason::<()>(&Err(wrong)), "INVALID_CREDENTIALS");
}

/// On one thread, which hashing would hold up if it ran there.
#[tokio::test]
async fn other_methods_stay_fast_while_passwords_queue_and_a_full_queue_refuses() {
    let settings = [
        ("ARGON2_MEMORY_KIB", "131072"),
        ("ARGON2_ITERATIONS", "6"),
        ("HASHING_CONCURRENCY", "1"),
        ("HASHING_QUEUE", "2"),
    ];
    let auth = Arc::new(start_with(Kind::Sqlite, &settings).await);
    let tokens = auth.register("ann").await;
    auth.me(&tokens.access_token).await.unwrap();
    let hashed = Arc::new(AtomicUsize::new(0));
    let logins: Vec<_> = (0..12)
        .map(|n| {
            let (auth, hashed) = (auth.clone(), hashed.clone());
            let address = format!("203.0.113.{n}");
            tokio::spawn(async move {
                let answer = auth.login("ann", PASSWORD, &address).await;
                hashed.fetch_add(usize::from(answer.is_ok()), Ordering::SeqCst);
                answer
            })
        })
        .collect();
    // While the first of them is being hashed, everything else goes on.
    let mut rounds = 0;
    while hashed.load(Ordering::SeqCst) == 0 {
        auth.me(&tokens.access_token).await.unwrap();
        auth.client.clone().get_jwks(pb::GetJwksRequest {}).await.unwrap();
        rounds += 1;
    }
    assert!(rounds >= 10, "{rounds} rounds in the time of one password");
    let mut answers = Vec::new();
    for login in logins {
        answers.push(login.await.unwrap());
    }
    let busy: Vec<_> = answers
        .iter()
        .filter(|answer| reason(answer) == "HASHING_BUSY")
        .collect();
    let served = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(busy.len() + served, 12);
    assert!(
        busy.len() >= 3 && served >= 3,
        "{} refused, {served} served",
        busy.len()
    );
    let retry = busy[0].as_ref().unwrap_err().get_details_retry_info().unwrap();
    assert!(retry.retry_delay.is_some());
    // What was refused for lack of room was no failed attempt.
    auth.login("ann", PASSWORD, "203.0.113.0").await.unwrap();
}

#[tokio::test]
async fn a_login_hashes_anew_when_the_settings_rise() {
    let auth = start().await;
    auth.register("ann").await;
    let harder = auth.another(&[("ARGON2_ITERATIONS", "3")]).await;
    harder.login("ann", PASSWORD, HOME).await.unwrap();
    let hash = stored_hash(&auth, "ann").await;
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=3,p=1$"), "{hash}");
    // Easier settings leave it.
    auth.login("ann", PASSWORD, HOME).await.unwrap();
    assert_eq!(stored_hash(&auth, "ann").await, hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_at_once_that_hash_one_password_anew_all_succeed() {
    let auth = start().await;
    auth.register("ann").await;
    let harder = Arc::new(
        auth.another(&[("ARGON2_ITERATIONS", "3"), ("HASHING_CONCURRENCY", "4")])
            .await,
    );
    let logins: Vec<_> = (0..8)
        .map(|n| {
            let auth = harder.clone();
            tokio::spawn(async move { reason(&auth.login("ann", PASSWORD, &format!("192.0.2.{n}")).await) })
        })
        .collect();
    for login in logins {
        assert_eq!(login.await.unwrap(), "");
    }
    assert!(
        stored_hash(&auth, "ann")
            .await
            .starts_with("$argon2id$v=19$m=64,t=3,p=1$")
    );
}

#[tokio::test]
async fn imported_hashes_sign_in_once_and_are_replaced() {
    use quartet_auth::admin::{Outcome, Secret, Wanted, import_account};
    let auth = start().await;
    for (username, hash) in [
        ("bcrypt", "$2b$06$abcdefghijklmnopqrstuuCKbUef3jNRJlrU6Qmjn.YsMAu5Q70qK"),
        ("sha256", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    ] {
        let email = format!("{username}@example.org");
        let wanted = Wanted {
            id: None,
            name: "Imported",
            username,
            email: &email,
            secret: Secret::Hash(hash),
            role: quartet_kernel::Role::User,
            email_verified: true,
        };
        for again in [false, true] {
            let outcome = import_account(&*auth.store, &auth.clock, &auth.config.own, wanted, &auth.cx())
                .await
                .unwrap();
            assert_eq!(matches!(outcome, Outcome::Found(_)), again);
        }
        assert_eq!(
            reason(&auth.login(username, "Hello world?", HOME).await),
            "INVALID_CREDENTIALS"
        );
        auth.login(username, "Hello world!", HOME).await.unwrap();
        assert!(stored_hash(&auth, username).await.starts_with("$argon2id$"));
        auth.login(username, "Hello world!", HOME).await.unwrap();
    }
}

async fn stored_hash(auth: &Auth, username: &str) -> String {
    let account = auth
        .store
        .find_account_by_username(username, &auth.cx())
        .await
        .unwrap()
        .unwrap();
    account.password_hash.as_str().to_owned()
}

#[tokio::test]
async fn the_token_endpoint_knows_two_grants() {
    let auth = start().await;
    auth.register("ann").await;
    let token = async |request: pb::TokenRequest| {
        auth.client
            .clone()
            .token(request)
            .await
            .map(tonic::Response::into_inner)
    };
    let password = pb::TokenRequest {
        grant_type: "password".into(),
        username: "ann".into(),
        password: PASSWORD.into(),
        scope: "anything".into(),
        ..pb::TokenRequest::default()
    };
    let first = token(password.clone()).await.unwrap();
    auth.me(&first.access_token).await.unwrap();
    let refresh = pb::TokenRequest {
        grant_type: "refresh_token".into(),
        refresh_token: first.refresh_token,
        ..pb::TokenRequest::default()
    };
    let second = token(refresh).await.unwrap();
    auth.me(&second.access_token).await.unwrap();

    for grant_type in ["", "client_credentials"] {
        let request = pb::TokenRequest {
            grant_type: grant_type.into(),
            ..password.clone()
        };
        let expected = if grant_type.is_empty() {
            "VALIDATION_FAILED"
        } else {
            "UNSUPPORTED_GRANT_TYPE"
        };
        assert_eq!(reason(&token(request).await), expected);
    }
}

#[tokio::test]
async fn the_tier_comes_from_users_and_is_remembered_while_users_is_away() {
    let auth = start().await;
    auth.users.put_in_tier("gold");
    let first = auth.register("ann").await;
    assert_eq!(claims(&first.access_token)["tier"], "gold");
    let calls = auth.users.calls();
    assert_eq!((calls.len(), calls[0].username.as_str()), (1, "ann"));
    // A refresh takes the one that is recorded.
    let refreshed = auth.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(claims(&refreshed.access_token)["tier"], "gold");
    assert_eq!(auth.users.calls().len(), 1);

    auth.users.go_away();
    let second = auth.login("ann", PASSWORD, HOME).await.unwrap();
    assert_eq!(claims(&second.access_token)["tier"], "gold");
    // A user who could not be made yet is no reason to refuse the account.
    let other = auth.register("bob").await;
    assert!(claims(&other.access_token).get("tier").is_none());
}

#[tokio::test]
async fn a_slow_users_service_does_not_hold_a_login_up() {
    let auth = start().await;
    auth.register("ann").await;
    auth.users.slow_down(StdDuration::from_secs(60));
    let login = auth.login("ann", PASSWORD, HOME);
    tokio::time::timeout(StdDuration::from_secs(5), login)
        .await
        .expect("the login is answered")
        .unwrap();
}

fn claims(token: &str) -> serde_json::Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn a_login_past_the_limit_signs_out_the_device_that_was_used_least_recently() {
    let auth = start_with(Kind::Sqlite, &[("SESSIONS_PER_USER", "2")]).await;
    let first = auth.register("ann").await;
    auth.clock.advance(time::Duration::seconds(1));
    let second = auth.login("ann", PASSWORD, HOME).await.unwrap();
    auth.clock.advance(time::Duration::seconds(1));
    let third = auth.login("ann", PASSWORD, HOME).await.unwrap();
    assert_eq!(reason(&auth.me(&first.access_token).await), "TOKEN_REVOKED");
    for tokens in [second, third] {
        assert_eq!(auth.me(&tokens.access_token).await.unwrap().username, "ann");
    }
}
