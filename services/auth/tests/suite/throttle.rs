//! The throttle on guessing.

use quartet_testkit::identity::for_client_at;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use quartet_proto::auth::v1 as pb;
use time::Duration;
use tonic_types::StatusExt;

use crate::harness::{Auth, Kind, PASSWORD, on_both, reason, start, start_with, with_token};

const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";

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
            ..Default::default()
        },
        &session.access_token,
    );
    for_client_at(&mut request, fresh, &auth.clock);
    auth.client.clone().login(request).await.unwrap();

    // And from anywhere else the wait is short, however long the strangers went on.
    auth.clock.advance(Duration::seconds(10));
    auth.login("ann", PASSWORD, "198.51.100.98").await.unwrap();
}

#[tokio::test]
async fn a_neighbour_at_the_same_address_cannot_keep_a_signed_in_owner_out_and_a_stolen_token_guesses_no_faster() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    guesses(&auth, "ann", 20).await;
    assert_eq!(
        reason(&auth.login("ann", PASSWORD, ELSEWHERE).await),
        "TOO_MANY_ATTEMPTS"
    );
    let login = async |password: &str, address: &str| {
        let login = pb::LoginRequest {
            username_or_email: "ann".into(),
            password: password.into(),
            use_cookie: false,
            ..Default::default()
        };
        let mut request = with_token(login, &ann.access_token);
        for_client_at(&mut request, address, &auth.clock);
        reason(&auth.client.clone().login(request).await)
    };
    assert_eq!(login(PASSWORD, ELSEWHERE).await, "");
    for n in 0..5 {
        let address = format!("203.0.113.{n}");
        assert_eq!(login("not the password", &address).await, "INVALID_CREDENTIALS");
    }
    assert_eq!(login(PASSWORD, HOME).await, "TOO_MANY_ATTEMPTS");
    auth.clock.advance(Duration::seconds(1));
    assert_eq!(login(PASSWORD, HOME).await, "");
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

const WRONG: &str = "not the password";

on_both! {
    async fn spraying_over_names_from_one_address_is_slowed_and_other_addresses_do_not_feel_it(auth) {
        for n in 0..40 {
            auth.register(&format!("user{n}")).await;
        }
        let mut tried = 0;
        let mut last = None;
        for n in 0..40 {
            // A name with an account and one without alike.
            let name = if n % 2 == 0 { format!("user{n}") } else { format!("nobody{n}") };
            let answer = auth.login(&name, WRONG, ELSEWHERE).await;
            match reason(&answer).as_str() {
                "INVALID_CREDENTIALS" => tried += 1,
                answer => assert_eq!(answer, "TOO_MANY_ATTEMPTS"),
            }
            last = answer.err();
        }
        assert_eq!(tried, 30);
        let delay = last.unwrap().get_details_retry_info().unwrap().retry_delay.unwrap();
        assert_eq!(delay, StdDuration::from_secs(1));
        auth.login("user7", PASSWORD, HOME).await.unwrap();
        // Doubled with every further one, up to a minute; a failure is forgiven every two.
        let mut waits = Vec::new();
        for n in 0..8 {
            auth.clock.advance(Duration::seconds(60));
            assert_eq!(reason(&auth.login(&format!("other{n}"), WRONG, ELSEWHERE).await), "INVALID_CREDENTIALS");
            let wait = auth.login(&format!("other{n}"), WRONG, ELSEWHERE).await.unwrap_err();
            waits.push(wait.get_details_retry_info().unwrap().retry_delay.unwrap().as_secs());
        }
        assert!(waits.is_sorted() && *waits.last().unwrap() >= 8, "{waits:?}");
        // A success takes its own back alone.
        auth.clock.advance(Duration::seconds(60));
        auth.login("user8", PASSWORD, ELSEWHERE).await.unwrap();
        assert_eq!(reason(&auth.login("user9", WRONG, ELSEWHERE).await), "INVALID_CREDENTIALS");
        assert_eq!(reason(&auth.login("user8", PASSWORD, ELSEWHERE).await), "TOO_MANY_ATTEMPTS");
    }

    async fn the_names_of_one_account_share_their_counts(auth) {
        auth.register("ann").await;
        for n in 0..5 {
            let name = ["ann", "ann@example.org", "ANN", "Ann@Example.ORG"][n % 4];
            assert_eq!(reason(&auth.login(name, WRONG, ELSEWHERE).await), "INVALID_CREDENTIALS");
        }
        for name in ["ann", "ann@example.org"] {
            assert_eq!(reason(&auth.login(name, PASSWORD, ELSEWHERE).await), "TOO_MANY_ATTEMPTS");
        }
        auth.clock.advance(Duration::seconds(1));
        auth.login("ann@example.org", PASSWORD, ELSEWHERE).await.unwrap();
        assert_eq!(reason(&auth.login("ann", WRONG, ELSEWHERE).await), "INVALID_CREDENTIALS", "all are forgotten");
    }

    async fn a_device_that_has_signed_in_is_not_refused_for_the_failures_of_others(auth) {
        let device = auth.register("ann").await.device_token.unwrap();
        auth.register("bob").await;
        // At the same address, from many, and over many names.
        guesses(&auth, "ann", 20).await;
        for n in 0..40 {
            let _ = auth.login("ann", WRONG, &format!("203.0.113.{n}")).await;
            let _ = auth.login(&format!("nobody{n}"), WRONG, ELSEWHERE).await;
        }
        assert_eq!(reason(&auth.login("ann", PASSWORD, ELSEWHERE).await), "TOO_MANY_ATTEMPTS");
        let again = auth.login_on(&device, "ann@example.org", PASSWORD, ELSEWHERE).await.unwrap();
        // The same device goes on; and its failures are counted by themselves, wherever they come from.
        let device = again.device_token.unwrap();
        assert_eq!(again.device_expires_in, Some(180 * 86_400));
        for n in 0..5 {
            let answer = auth.login_on(&device, "ann", WRONG, &format!("192.0.2.{n}")).await;
            assert_eq!(reason(&answer), "INVALID_CREDENTIALS");
        }
        let stolen = auth.login_on(&device, "ann", PASSWORD, "192.0.2.99").await;
        assert_eq!(reason(&stolen), "TOO_MANY_ATTEMPTS", "it guesses no faster than anybody");
        // It is of no use for another account.
        assert_eq!(reason(&auth.login_on(&device, "bob", PASSWORD, ELSEWHERE).await), "TOO_MANY_ATTEMPTS");
        auth.clock.advance(Duration::seconds(1));
        auth.login_on(&device, "ann", PASSWORD, "192.0.2.99").await.unwrap();
    }

    async fn a_device_token_that_is_forged_or_expired_is_as_good_as_none(auth) {
        let token = auth.register("ann").await.device_token.unwrap();
        guesses(&auth, "ann", 20).await;
        let end = token.len() - 1;
        let other = if token.ends_with('A') { "B" } else { "A" };
        for forged in [format!("{}{other}", &token[..end]), "x".repeat(96), "x".repeat(600), token[..end].to_owned()] {
            let answer = reason(&auth.login_on(&forged, "ann", PASSWORD, ELSEWHERE).await);
            let is_refused = answer == "TOO_MANY_ATTEMPTS" || (forged.len() > 512 && answer == "VALIDATION_FAILED");
            assert!(is_refused, "{forged}: {answer}");
        }
        auth.login_on(&token, "ann", PASSWORD, ELSEWHERE).await.unwrap();
        auth.clock.advance(Duration::days(180));
        for _ in 0..5 {
            assert_eq!(reason(&auth.login("ann", WRONG, ELSEWHERE).await), "INVALID_CREDENTIALS");
        }
        assert_eq!(reason(&auth.login_on(&token, "ann", PASSWORD, ELSEWHERE).await), "TOO_MANY_ATTEMPTS");
    }

    async fn a_reset_of_the_password_lifts_the_wait(auth) {
        auth.register("ann").await;
        auth.register("bob").await;
        guesses(&auth, "bob", 20).await;
        guesses(&auth, "ann", 12).await;
        assert_eq!(reason(&auth.login("ann@example.org", PASSWORD, ELSEWHERE).await), "TOO_MANY_ATTEMPTS");
        let request = pb::RequestPasswordResetRequest { email: "ann@example.org".into() };
        auth.client.clone().request_password_reset(request).await.unwrap();
        let token = auth.mails_to("ann@example.org", 2).await.pop().unwrap().token();
        let request = pb::ResetPasswordRequest { token, new_password: "another good password".into() };
        auth.client.clone().reset_password(request).await.unwrap();
        auth.login("ann", "another good password", ELSEWHERE).await.unwrap();
        assert_eq!(reason(&auth.login("bob", PASSWORD, ELSEWHERE).await), "TOO_MANY_ATTEMPTS");
    }
}

#[tokio::test]
async fn a_browser_keeps_its_device_token_in_a_cookie() {
    let auth = start().await;
    auth.register("ann").await;
    let login = async |device_cookie: Option<String>| {
        let mut request = tonic::Request::new(pb::LoginRequest {
            username_or_email: "ann".into(),
            password: PASSWORD.into(),
            use_cookie: true,
            device_cookie,
            ..Default::default()
        });
        for_client_at(&mut request, ELSEWHERE, &auth.clock);
        auth.client
            .clone()
            .login(request)
            .await
            .map(tonic::Response::into_inner)
    };
    let reply = login(None).await.unwrap();
    assert_eq!(reply.device_token, None);
    let cookie = reply.device_cookie.unwrap();
    // The password has proven right from this address, so its failures are new ones.
    guesses(&auth, "ann", 20).await;
    assert_eq!(reason(&login(None).await), "TOO_MANY_ATTEMPTS");
    login(Some(cookie)).await.unwrap();
    let empty = login(Some(String::new())).await;
    assert_eq!(reason(&empty), "TOO_MANY_ATTEMPTS");
}

/// On several threads: hashing has to go on while the flood does.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_from_one_address_leaves_the_others_their_place() {
    let settings = [
        ("ARGON2_MEMORY_KIB", "16384"),
        ("ARGON2_ITERATIONS", "2"),
        ("HASHING_CONCURRENCY", "1"),
        ("HASHING_QUEUE", "15"),
        ("HASHING_QUEUE_PER_ADDRESS", "4"),
        ("LOGIN_FREE_ATTEMPTS", "1000"),
        ("LOGIN_FREE_ATTEMPTS_PER_NAME", "1000"),
        ("LOGIN_FREE_ATTEMPTS_PER_ADDRESS", "1000"),
    ];
    let auth = Arc::new(start_with(Kind::Sqlite, &settings).await);
    for n in 0..6 {
        auth.register(&format!("user{n}")).await;
    }
    let stop = tokio_util::sync::CancellationToken::new();
    let flood: Vec<_> = (0..12)
        .map(|n| {
            let (auth, stop) = (auth.clone(), stop.clone());
            tokio::spawn(async move {
                let mut busy = 0;
                while !stop.is_cancelled() {
                    let answer = reason(&auth.login(&format!("nobody{n}"), WRONG, ELSEWHERE).await);
                    busy += usize::from(answer == "HASHING_BUSY");
                    tokio::time::sleep(StdDuration::from_millis(5)).await;
                }
                busy
            })
        })
        .collect();
    while auth.hashing.dummies() < 8 {
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        let honest: Vec<_> = (0..6)
            .map(|n| {
                let auth = auth.clone();
                tokio::spawn(async move {
                    reason(&auth.login(&format!("user{n}"), PASSWORD, &format!("192.0.2.{n}")).await)
                })
            })
            .collect();
        for login in honest {
            assert_eq!(login.await.unwrap(), "");
        }
    }
    stop.cancel();
    let mut busy = 0;
    for guesser in flood {
        busy += guesser.await.unwrap();
    }
    assert!(busy > 0, "the flood has met its bound");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_time_was_over_before_its_password_was_checked_does_not_count() {
    let settings = [
        ("ARGON2_MEMORY_KIB", "131072"),
        ("ARGON2_ITERATIONS", "6"),
        ("HASHING_CONCURRENCY", "1"),
    ];
    let auth = start_with(Kind::Sqlite, &settings).await;
    for _ in 0..8 {
        let mut request = tonic::Request::new(pb::LoginRequest {
            username_or_email: "nobody".into(),
            password: WRONG.into(),
            ..Default::default()
        });
        for_client_at(&mut request, HOME, &auth.clock);
        request.set_timeout(StdDuration::from_millis(60));
        let answer = reason(&auth.client.clone().login(request).await);
        assert_ne!(answer, "INVALID_CREDENTIALS");
    }
    // However late that is done.
    crate::harness::eventually(async || reason(&auth.login("nobody", WRONG, HOME).await) == "INVALID_CREDENTIALS")
        .await;
}
