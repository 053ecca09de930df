//! Refresh tokens.

use quartet_proto::auth::v1 as pb;
use time::Duration;

use crate::harness::{Auth, Kind, reason, start, start_with, with_token};

#[tokio::test]
async fn a_refresh_gives_the_next_pair_and_the_session_lives_on() {
    let auth = start().await;
    let first = auth.register("ann").await;
    auth.clock.advance(Duration::minutes(16));
    assert_eq!(reason(&auth.me(&first.access_token).await), "TOKEN_EXPIRED");

    let second = auth.refresh(&first.refresh_token).await.unwrap();
    assert_ne!(second.refresh_token, first.refresh_token);
    assert_eq!(second.token_type, "bearer");
    assert_eq!(second.expires_in, 900);
    assert_eq!(second.refresh_expires_in, 7 * 86_400 - 16 * 60);
    assert_eq!(auth.me(&second.access_token).await.unwrap().username, "ann");
}

#[tokio::test]
async fn a_retried_refresh_gets_the_same_successor() {
    let auth = start().await;
    let first = auth.register("ann").await;
    let second = auth.refresh(&first.refresh_token).await.unwrap();
    auth.clock.advance(Duration::seconds(10));
    let again = auth.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    auth.refresh(&second.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_replayed_refresh_token_revokes_its_family() {
    let auth = start().await;
    let first = auth.register("ann").await;
    let other = auth.login("ann", crate::harness::PASSWORD, "").await.unwrap();
    let second = auth.refresh(&first.refresh_token).await.unwrap();
    auth.clock.advance(Duration::seconds(11));

    assert_eq!(
        reason(&auth.refresh(&first.refresh_token).await),
        "REFRESH_TOKEN_REUSED"
    );
    // The thief's token and the victim's are both worth nothing, and so are their access tokens.
    assert_eq!(
        reason(&auth.refresh(&second.refresh_token).await),
        "REFRESH_TOKEN_REUSED"
    );
    auth.until_revoked(&second.access_token).await;
    // Another device is not the family's.
    auth.me(&other.access_token).await.unwrap();
    auth.refresh(&other.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_absolutely_however_often_it_is_refreshed() {
    let auth = start().await;
    let mut token = auth.register("ann").await.refresh_token;
    for _ in 0..6 {
        auth.clock.advance(Duration::days(1));
        token = auth.refresh(&token).await.unwrap().refresh_token;
    }
    auth.clock.advance(Duration::hours(23) + Duration::minutes(55));
    let last = auth.refresh(&token).await.unwrap();
    // No access token outlives its session.
    assert_eq!((last.expires_in, last.refresh_expires_in), (300, 300));
    auth.clock.advance(Duration::minutes(5));
    assert_eq!(
        reason(&auth.refresh(&last.refresh_token).await),
        "INVALID_REFRESH_TOKEN"
    );
}

#[tokio::test]
async fn a_browser_gets_its_token_as_a_cookie() {
    let auth = start().await;
    auth.register("ann").await;
    let request = pb::LoginRequest {
        username_or_email: "ann".into(),
        password: crate::harness::PASSWORD.into(),
        use_cookie: true,
        ..Default::default()
    };
    let reply = auth.client.clone().login(request).await.unwrap().into_inner();
    assert_eq!(reply.refresh_token, "");
    let cookie = reply.refresh_cookie.unwrap();

    let request = pb::RefreshRequest {
        refresh_token: String::new(),
        refresh_cookie: Some(cookie.clone()),
    };
    let reply = auth.client.clone().refresh(request).await.unwrap().into_inner();
    assert_eq!(reply.refresh_token, "");
    assert_ne!(reply.refresh_cookie.unwrap(), cookie);

    let request = with_token(pb::LogoutRequest {}, &reply.access_token);
    let reply = auth.client.clone().logout(request).await.unwrap().into_inner();
    assert_eq!(reply.refresh_cookie.as_deref(), Some(""));
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let auth = start().await;
    let tokens = auth.register("ann").await;
    for wrong in ["x", tokens.access_token.as_str(), &"A".repeat(43)] {
        let got = reason(&auth.refresh(wrong).await);
        let expected = if wrong.len() > 512 {
            "VALIDATION_FAILED"
        } else {
            "INVALID_REFRESH_TOKEN"
        };
        assert_eq!(got, expected, "{wrong}");
    }
    assert_eq!(reason(&auth.refresh("").await), "VALIDATION_FAILED");
    assert_eq!(reason(&auth.refresh("a\0b").await), "VALIDATION_FAILED");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_refreshes_at_once_are_one_rotation() {
    refresh_at_once(start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn sixty_four_refreshes_at_once_are_one_rotation_on_postgresql() {
    refresh_at_once(start_with(Kind::Postgres, &[]).await).await;
}

async fn refresh_at_once(auth: Auth) {
    let auth = std::sync::Arc::new(auth);
    let first = auth.register("ann").await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (auth, token) = (auth.clone(), first.refresh_token.clone());
            tokio::spawn(async move { auth.refresh(&token).await.unwrap().refresh_token })
        })
        .collect();
    let mut successors = Vec::new();
    for task in tasks {
        successors.push(task.await.unwrap());
    }
    successors.dedup();
    assert_eq!(successors.len(), 1, "all got the same successor");
    // One rotation, not several: the successor is unused, and its own successor follows.
    let third = auth.refresh(&successors[0]).await.unwrap();
    auth.clock.advance(Duration::seconds(5));
    auth.refresh(&third.refresh_token).await.unwrap();
    assert_eq!(auth.rows("refresh_tokens").await, 4, "first, second, third, fourth");
}

#[tokio::test]
async fn a_session_that_nobody_uses_is_over() {
    let auth = start_with(Kind::Sqlite, &[("SESSION_IDLE_TIMEOUT", "1h")]).await;
    let mut token = auth.register("ann").await.refresh_token;
    for _ in 0..3 {
        auth.clock.advance(Duration::minutes(59));
        token = auth.refresh(&token).await.unwrap().refresh_token;
    }
    auth.clock.advance(Duration::minutes(61));
    assert_eq!(reason(&auth.refresh(&token).await), "INVALID_REFRESH_TOKEN");
}
