//! Who may connect, and for how long.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;

use super::fixture::{Gateway, bearer};

#[tokio::test]
async fn a_token_is_taken_from_the_header_a_protocol_the_cookie_or_the_first_frame() {
    let gateway = Gateway::start().await;
    let user = gateway.user();
    let ready = json!({"type": "ready", "user_id": user.id, "expires_at": "2026-01-01T00:15:00Z"});
    let protocols = ("sec-websocket-protocol", format!("quartet.v1, bearer.{}", user.token));
    let cookie = ("cookie", format!("access_token={}", user.token));
    for headers in [vec![bearer(&user)], vec![protocols], vec![cookie]] {
        let mut client = gateway.connect(&headers).await.unwrap();
        assert_eq!(client.next().await, ready, "{headers:?}");
        // The token never comes back.
        let selected = client.handshake.get("sec-websocket-protocol");
        let is_requested = headers[0].0 == "sec-websocket-protocol";
        assert_eq!(
            selected.map(|name| name.to_str().unwrap()),
            is_requested.then_some("quartet.v1")
        );
    }
    let mut client = gateway.connect(&[]).await.unwrap();
    client.send(json!({"type": "auth", "token": user.token})).await;
    assert_eq!(client.next().await, ready);
}

#[tokio::test]
async fn a_cookie_counts_only_from_pages_of_this_host_or_a_listed_origin() {
    let gateway = Gateway::with(&[("CORS_ALLOW_ORIGINS", "https://app.example.com")]).await;
    let cookie = ("cookie", format!("access_token={}", gateway.user().token));
    let from = |origin: &str| [cookie.clone(), ("origin", origin.to_owned())];
    let evil = gateway.connect(&from("https://evil.example")).await;
    assert_eq!(evil.err(), Some(StatusCode::FORBIDDEN));
    let own = format!("http://{}", gateway.address);
    for origin in ["https://app.example.com", own.as_str()] {
        let mut client = gateway.connect(&from(origin)).await.unwrap();
        assert_eq!(client.next().await["type"], "ready", "{origin}");
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_where_the_client_can_see_it() {
    let gateway = Gateway::start().await;
    let header = gateway.connect(&[("authorization", "Bearer nonsense".into())]).await;
    assert_eq!(header.err(), Some(StatusCode::UNAUTHORIZED));
    for name in ["sec-websocket-protocol", "cookie"] {
        let value = match name {
            "cookie" => "access_token=nonsense",
            _ => "quartet.v1, bearer.nonsense",
        };
        let mut client = gateway.connect(&[(name, value.into())]).await.unwrap();
        assert_eq!(client.close().await, (4401, "token_invalid".into()), "{name}");
    }
    let mut client = gateway.connect(&[]).await.unwrap();
    client.send(json!({"type": "auth", "token": "nonsense"})).await;
    assert_eq!(client.close().await, (4401, "token_invalid".into()));
}

#[tokio::test]
async fn a_token_in_the_query_is_answered_with_the_places_that_tokens_are_read_from() {
    let gateway = Gateway::start().await;
    let user = gateway.user();
    for query in [format!("token={}", user.token), "a=b&access_token=x".into()] {
        let mut client = gateway.connect_at(&format!("/api/v1/ws?{query}"), &[]).await.unwrap();
        let (code, reason) = client.close().await;
        assert_eq!(code, 4401);
        assert!(
            reason.starts_with("token_in_query: ") && reason.len() <= 123,
            "{reason}"
        );
        for place in ["Authorization", "bearer.<token>", "auth frame"] {
            assert!(reason.contains(place), "{reason}");
        }
    }
    // A token where it is read from counts, whatever the query has.
    let mut client = gateway
        .connect_at("/api/v1/ws?token=x", &[bearer(&user)])
        .await
        .unwrap();
    assert_eq!(client.next().await["type"], "ready");
}

#[tokio::test]
async fn a_client_without_a_token_gets_nothing_but_time_to_sign_in() {
    let gateway = Gateway::with(&[("WS_SIGN_IN_TIMEOUT", "200ms")]).await;
    let mut silent = gateway.connect(&[]).await.unwrap();
    assert_eq!(silent.close().await, (4408, "sign_in_timeout".into()));
    let mut hasty = gateway.connect(&[]).await.unwrap();
    hasty.send(json!({"type": "subscribe", "topic": "rooms/a"})).await;
    assert_eq!(hasty.close().await, (4401, "token_missing".into()));
    // A client that has signed in is not bound by that time.
    let mut signed_in = gateway.join(&gateway.user()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    signed_in.send(json!({"type": "ping", "ref": "1"})).await;
    assert_eq!(signed_in.next().await, json!({"type": "pong", "ref": "1"}));
}

#[tokio::test]
async fn an_ended_session_closes_its_connections_within_a_second_and_no_other() {
    let gateway = Gateway::start().await;
    let (ended, other) = (gateway.user(), gateway.user());
    let (mut first, mut second) = (gateway.join(&ended).await, gateway.join(&other).await);
    let forget_at = gateway.clock.now() + time::Duration::hours(1);
    let begun = Instant::now();
    gateway.host.revocations().add([(ended.session_id, forget_at)]);
    assert_eq!(first.close().await, (4401, "token_revoked".into()));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(second.receives_nothing().await);
}

#[tokio::test]
async fn a_token_can_be_renewed_before_it_expires_by_its_own_user_alone() {
    let gateway = Gateway::start().await;
    let (renewing, forgetful) = (gateway.user(), gateway.user());
    let (mut first, mut second) = (gateway.join(&renewing).await, gateway.join(&forgetful).await);
    gateway.clock.advance(time::Duration::minutes(14));
    let renewed = renewing.renewed(&gateway.clock);
    first
        .send(json!({"type": "auth", "token": renewed.token, "ref": "r"}))
        .await;
    let ready = first.next().await;
    assert_eq!(
        (&ready["ref"], &ready["expires_at"]),
        (&json!("r"), &json!("2026-01-01T00:29:00Z"))
    );
    gateway.clock.advance(time::Duration::minutes(2));
    assert_eq!(second.close().await, (4401, "token_expired".into()));
    assert!(first.receives_nothing().await);

    let other = gateway.user();
    first.send(json!({"type": "auth", "token": other.token})).await;
    assert_eq!(first.close().await, (4403, "other_user".into()));
}

#[tokio::test]
async fn a_page_of_a_stranger_does_not_connect_with_or_without_a_token() {
    let gateway = Gateway::with(&[("CORS_ALLOW_ORIGINS", "https://app.example.com")]).await;
    let origin = |origin: &str| [("origin", origin.to_owned())];
    for stranger in ["https://evil.example", "null", "https://app.example.com.evil.example"] {
        assert!(gateway.connect(&origin(stranger)).await.is_err(), "{stranger}");
    }
    assert!(gateway.connect(&origin("https://app.example.com")).await.is_ok());
}
