//! The throttle on guessing.

use quartet_testkit::identity::for_client_at;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use quartet_proto::auth::v1 as pb;
use time::Duration;
use tonic_types::StatusExt;

use crate::harness::{Auth, Kind, PASSWORD, reason, start, start_with, with_token};

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
