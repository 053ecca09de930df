//! Sessions, and the feed of their end.

use std::time::Duration;

use quartet_proto::auth::v1 as pb;
use tonic::Streaming;

use crate::harness::{Auth, Kind, PASSWORD, reason, start, start_with, with_token};

async fn watch(auth: &Auth) -> Streaming<pb::WatchRevocationsResponse> {
    let request = auth.as_service(pb::WatchRevocationsRequest {});
    auth.client
        .clone()
        .watch_revocations(request)
        .await
        .unwrap()
        .into_inner()
}

/// The sessions of the snapshot.
async fn snapshot(stream: &mut Streaming<pb::WatchRevocationsResponse>) -> Vec<String> {
    let mut sessions = Vec::new();
    loop {
        let message = next(stream).await.expect("the snapshot goes on");
        sessions.extend(message.revoked.into_iter().map(|session| session.session_id));
        if message.snapshot_complete {
            return sessions;
        }
    }
}

async fn next(stream: &mut Streaming<pb::WatchRevocationsResponse>) -> Option<pb::WatchRevocationsResponse> {
    tokio::time::timeout(Duration::from_secs(10), stream.message())
        .await
        .expect("the stream is not silent")
        .unwrap()
}

async fn logout(auth: &Auth, token: &str) {
    auth.client
        .clone()
        .logout(with_token(pb::LogoutRequest {}, token))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_logout_is_refused_everywhere_within_a_second() {
    logout_everywhere(start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_logout_is_refused_everywhere_within_a_second_on_postgresql() {
    logout_everywhere(start_with(Kind::Postgres, &[]).await).await;
}

async fn logout_everywhere(auth: Auth) {
    let other = auth.another(&[]).await;
    let first = auth.register("ann").await;
    let second = auth.login("ann", PASSWORD, "").await.unwrap();
    let (mut here, mut there) = (watch(&auth).await, watch(&other).await);
    assert!(snapshot(&mut here).await.is_empty() && snapshot(&mut there).await.is_empty());
    other.me(&first.access_token).await.unwrap();

    logout(&auth, &first.access_token).await;
    let published = next(&mut here).await.unwrap().revoked;
    assert_eq!(published.len(), 1);
    let forget_at = published[0].forget_at.unwrap().seconds;
    assert!(
        forget_at >= auth.clock.now().unix_timestamp() + 900,
        "its tokens live fifteen minutes"
    );
    // The other process finds it in the store.
    let found = tokio::time::timeout(Duration::from_secs(1), next(&mut there))
        .await
        .expect("within a second");
    assert_eq!(found.unwrap().revoked, published);
    for process in [&auth, &other] {
        process.until_revoked(&first.access_token).await;
        process.me(&second.access_token).await.unwrap();
    }
    assert_eq!(
        reason(&auth.refresh(&first.refresh_token).await),
        "INVALID_REFRESH_TOKEN"
    );

    // Who watches from now on is published as well, as long as a token could be alive.
    assert_eq!(
        snapshot(&mut watch(&other).await).await,
        [published[0].session_id.clone()]
    );
    auth.clock.advance(time::Duration::minutes(17));
    assert!(snapshot(&mut watch(&other).await).await.is_empty());
}

#[tokio::test]
async fn a_quiet_stream_is_kept_alive_and_ends_when_the_service_stops() {
    let auth = start().await;
    let mut stream = watch(&auth).await;
    snapshot(&mut stream).await;
    let keep_alive = next(&mut stream).await.expect("the stream goes on");
    assert!(keep_alive.revoked.is_empty() && !keep_alive.snapshot_complete);
    auth.stop();
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let auth = start().await;
    let first = auth.register("ann").await;
    auth.clock.advance(time::Duration::seconds(1));
    let second = auth.login("ann", PASSWORD, "192.0.2.1").await.unwrap();
    let stranger = auth.register("eve").await;
    let mut client = auth.client.clone();
    let mut list = async |token: &str| {
        let request = with_token(pb::ListSessionsRequest::default(), token);
        client.list_sessions(request).await.unwrap().into_inner().data
    };
    let sessions = list(&second.access_token).await;
    let shown: Vec<_> = sessions
        .iter()
        .map(|session| (session.current, session.ip_address.as_str()))
        .collect();
    assert_eq!(shown, [(true, "192.0.2.1"), (false, "")]);
    // The one that was used last stands first.
    auth.clock.advance(time::Duration::seconds(1));
    auth.refresh(&first.refresh_token).await.unwrap();
    let sessions = list(&second.access_token).await;
    assert!(!sessions[0].current && sessions[1].current);

    let revoke = async |token: &str, id: &str| {
        let request = pb::RevokeSessionRequest { session_id: id.into() };
        reason(&auth.client.clone().revoke_session(with_token(request, token)).await)
    };
    let id = &sessions[0].id;
    assert_eq!(
        revoke(&stranger.access_token, id).await,
        "SESSION_NOT_FOUND",
        "it is somebody else's"
    );
    assert_eq!(revoke(&second.access_token, id).await, "");
    assert_eq!(revoke(&second.access_token, id).await, "SESSION_NOT_FOUND");
    assert_eq!(revoke(&second.access_token, "x").await, "VALIDATION_FAILED");
    auth.until_revoked(&first.access_token).await;
    assert_eq!(list(&second.access_token).await.len(), 1);
}

#[tokio::test]
async fn logging_out_everywhere_ends_every_session_of_the_caller_alone() {
    let auth = start().await;
    let first = auth.register("ann").await;
    let second = auth.login("ann", PASSWORD, "").await.unwrap();
    let other = auth.register("bob").await;
    let request = with_token(pb::LogoutAllRequest {}, &second.access_token);
    let reply = auth.client.clone().logout_all(request).await.unwrap().into_inner();
    assert_eq!(reply.refresh_cookie.as_deref(), Some(""));
    auth.until_revoked(&first.access_token).await;
    auth.until_revoked(&second.access_token).await;
    auth.me(&other.access_token).await.unwrap();
}

#[tokio::test]
async fn a_service_learns_of_a_token_what_counts_now() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    let introspect = async |token: &str| {
        let request = auth.as_service(pb::IntrospectTokenRequest { token: token.into() });
        auth.oauth().introspect_token(request).await.unwrap().into_inner()
    };
    let found = introspect(&ann.access_token).await;
    assert!(
        found.active && found.exp > found.iat && found.token_type == "Bearer",
        "{found:?}"
    );
    assert_eq!((found.sub, found.role.as_str()), (ann.user.unwrap().id, "user"));
    // Of what does not count nothing is told: no token, one of another kind, one whose session has ended.
    let nothing = pb::IntrospectTokenResponse::default();
    let service = auth.as_service(());
    let service = service.metadata().get("authorization").unwrap().to_str().unwrap();
    let forged = format!("{}x", ann.access_token);
    for token in ["x", &ann.refresh_token, service.trim_start_matches("Bearer "), &forged] {
        assert_eq!(introspect(token).await, nothing, "{token}");
    }
    auth.client
        .clone()
        .logout(with_token(pb::LogoutRequest {}, &ann.access_token))
        .await
        .unwrap();
    auth.until_revoked(&ann.access_token).await;
    assert_eq!(introspect(&ann.access_token).await, nothing);
    let bob = auth.register("bob").await;
    auth.clock.advance(time::Duration::minutes(16));
    assert_eq!(introspect(&bob.access_token).await, nothing);
}
