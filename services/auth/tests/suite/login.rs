//! Logging in, and the throttle on guessing.

use std::sync::Arc;
use std::time::Duration as StdDuration;

use quartet_proto::auth::v1 as pb;
use time::Duration;
use tonic_types::StatusExt;

use crate::harness::{Auth, Kind, PASSWORD, reason, soon, start, start_with, with_token};

const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";

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

/// What every guess of a list gets, a second apart.
async fn guesses(auth: &Auth, name: &str, count: usize) -> Vec<String> {
    let mut answers = Vec::new();
    for _ in 0..count {
        answers.push(reason(&auth.login(name, "not the password", ELSEWHERE).await));
        auth.clock.advance(Duration::seconds(1));
    }
    answers
}

#[tokio::test]
async fn guessing_gets_slower_for_known_and_unknown_names_alike() {
    let auth = start().await;
    auth.register("ann").await;
    let known = guesses(&auth, "ann", 14).await;
    let unknown = guesses(&auth, "nobody", 14).await;
    assert_eq!(known, unknown);
    let tried: Vec<usize> = (0..14).filter(|n| known[*n] == "INVALID_CREDENTIALS").collect();
    // Five at once, then after 1, 2 and 4 seconds.
    assert_eq!(tried, [0, 1, 2, 3, 4, 5, 7, 11]);
    assert!(
        known
            .iter()
            .all(|answer| answer == "INVALID_CREDENTIALS" || answer == "TOO_MANY_ATTEMPTS")
    );

    guesses(&auth, "ann", 1).await;
    let refused = auth.login("ann", PASSWORD, ELSEWHERE).await.unwrap_err();
    let delay = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert_eq!(
        delay,
        StdDuration::from_secs(15),
        "sixteen seconds after the last one, a second ago"
    );
    auth.clock.advance(delay.try_into().unwrap());
    auth.login("ann", PASSWORD, ELSEWHERE).await.unwrap();
}

#[tokio::test]
async fn a_success_forgets_the_failures_of_its_address() {
    let auth = start().await;
    auth.register("ann").await;
    for _ in 0..3 {
        for _ in 0..4 {
            let answer = auth.login("ann", "not the password", HOME).await;
            assert_eq!(reason(&answer), "INVALID_CREDENTIALS");
        }
        auth.login("ann", PASSWORD, HOME).await.unwrap();
    }
}

#[tokio::test]
async fn strangers_cannot_keep_an_owner_out() {
    let auth = start().await;
    auth.register("ann").await;
    let session = auth.login("ann", PASSWORD, HOME).await.unwrap();
    for n in 0..40 {
        let _ = auth.login("ann", "not the password", &format!("203.0.113.{n}")).await;
    }
    let fresh = "198.51.100.99";
    let stranger = auth.login("ann", "not the password", fresh).await;
    assert_eq!(
        reason(&stranger),
        "TOO_MANY_ATTEMPTS",
        "the name is throttled from everywhere"
    );

    // From an address of theirs, or with a session, the owner does not feel it.
    auth.login("ann", PASSWORD, HOME).await.unwrap();
    let mut request = with_token(
        pb::LoginRequest {
            username_or_email: "ann".into(),
            password: PASSWORD.into(),
            use_cookie: false,
        },
        &session.access_token,
    );
    request.metadata_mut().insert("x-forwarded-for", fresh.parse().unwrap());
    auth.client.clone().login(request).await.unwrap();

    // And from anywhere else the wait is short, however long the strangers went on.
    auth.clock.advance(Duration::seconds(10));
    auth.login("ann", PASSWORD, "198.51.100.98").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_once_are_not_all_the_first() {
    guess_at_once(start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn guesses_at_once_are_not_all_the_first_on_postgresql() {
    guess_at_once(start_with(Kind::Postgres, &[]).await).await;
}

async fn guess_at_once(auth: Auth) {
    auth.register("ann").await;
    let auth = Arc::new(auth);
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let auth = auth.clone();
            tokio::spawn(async move { reason(&auth.login("ann", "not the password", ELSEWHERE).await) })
        })
        .collect();
    let mut tried = 0;
    for task in tasks {
        match task.await.unwrap().as_str() {
            "INVALID_CREDENTIALS" => tried += 1,
            answer => assert_eq!(answer, "TOO_MANY_ATTEMPTS"),
        }
    }
    assert_eq!(tried, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_stay_fast_while_passwords_queue_and_a_full_queue_refuses() {
    // Half a second or more for one password.
    let settings = [
        ("ARGON2_MEMORY_KIB", "131072"),
        ("ARGON2_ITERATIONS", "6"),
        ("HASHING_CONCURRENCY", "1"),
        ("HASHING_QUEUE", "2"),
    ];
    let auth = Arc::new(start_with(Kind::Sqlite, &settings).await);
    let tokens = auth.register("ann").await;
    auth.me(&tokens.access_token).await.unwrap();
    let logins: Vec<_> = (0..12)
        .map(|n| {
            let auth = auth.clone();
            let address = format!("203.0.113.{n}");
            tokio::spawn(async move { auth.login("ann", PASSWORD, &address).await })
        })
        .collect();
    // While at least one of them is being hashed, everything else goes on.
    let mut rounds = 0;
    while !logins.iter().any(|login| login.is_finished()) || rounds < 3 {
        let round = async {
            auth.me(&tokens.access_token).await.unwrap();
            auth.client.clone().get_jwks(pb::GetJwksRequest {}).await.unwrap();
        };
        tokio::time::timeout(StdDuration::from_millis(400), round)
            .await
            .expect("other methods stay fast");
        rounds += 1;
    }
    let mut answers = Vec::new();
    for login in logins {
        answers.push(login.await.unwrap());
    }
    let busy: Vec<_> = answers
        .iter()
        .filter(|answer| reason(answer) == "HASHING_BUSY")
        .collect();
    assert_eq!(
        (busy.len(), answers.iter().filter(|answer| answer.is_ok()).count()),
        (9, 3)
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
            role: quartet_rpc::Role::User,
            email_verified: true,
        };
        for again in [false, true] {
            let outcome = import_account(&*auth.store, &auth.clock, &auth.config.own, wanted, soon())
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
        .find_account_by_username(username, soon())
        .await
        .unwrap()
        .unwrap();
    account.password_hash.as_str().to_owned()
}

#[tokio::test]
async fn the_token_endpoint_knows_two_grants() {
    let auth = start().await;
    auth.register("ann").await;
    let ask = async |request: pb::TokenRequest| {
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
    let first = ask(password.clone()).await.unwrap();
    auth.me(&first.access_token).await.unwrap();
    let refresh = pb::TokenRequest {
        grant_type: "refresh_token".into(),
        refresh_token: first.refresh_token,
        ..pb::TokenRequest::default()
    };
    let second = ask(refresh).await.unwrap();
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
        assert_eq!(reason(&ask(request).await), expected);
    }
}

#[tokio::test]
async fn the_tier_comes_from_users_and_is_remembered_while_users_is_away() {
    let auth = start().await;
    auth.users.put_in_tier("gold");
    let first = auth.register("ann").await;
    assert_eq!(claims(&first.access_token)["tier"], "gold");
    let asked = auth.users.asked();
    assert_eq!((asked.len(), asked[0].username.as_str()), (1, "ann"));

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
