//! The audit trail: what is recorded of what has happened, and who reads it.

use quartet_proto::auth::v1 as pb;
use time::Duration;
use tonic::{Response, Status};

use crate::harness::Kind;
use crate::harness::{Auth, PASSWORD, on_both, reason, start, start_with, with_token};

async fn list(
    auth: &Auth,
    token: &str,
    request: pb::ListSecurityEventsRequest,
) -> Result<pb::ListSecurityEventsResponse, Status> {
    let request = with_token(request, token);
    auth.events()
        .list_security_events(request)
        .await
        .map(Response::into_inner)
}

/// The types of somebody's own events, the latest first, each with its detail.
async fn own(auth: &Auth, token: &str) -> Vec<String> {
    let request = pb::ListSecurityEventsRequest {
        page_size: Some(100),
        ..Default::default()
    };
    let events = list(auth, token, request).await.unwrap().data;
    let shown = events.iter().map(|event| format!("{} {}", event.r#type, event.detail));
    shown.map(|event| event.trim_end().to_owned()).collect()
}

on_both! {
    async fn what_happens_to_an_account_is_in_its_trail(auth) {
        let ann = auth.register("ann").await;
        assert_eq!(reason(&auth.login("ann", "not the password", "203.0.113.7").await), "INVALID_CREDENTIALS");
        let other = auth.login("ann", PASSWORD, "203.0.113.8").await.unwrap();
        auth.client.clone().logout(with_token(pb::LogoutRequest {}, &other.access_token)).await.unwrap();
        let wrong = pb::ChangePasswordRequest {
            current_password: "not the password".into(),
            new_password: "another good password".into(),
        };
        let change = async |request: pb::ChangePasswordRequest| {
            auth.client.clone().change_password(with_token(request, &ann.access_token)).await
        };
        assert_eq!(reason(&change(wrong.clone()).await), "WRONG_PASSWORD");
        change(pb::ChangePasswordRequest { current_password: PASSWORD.into(), ..wrong }).await.unwrap();
        // The refresh token is used, and comes again after the window.
        let tokens = auth.refresh(&ann.refresh_token).await.unwrap();
        auth.clock.advance(Duration::seconds(60));
        assert_eq!(reason(&auth.refresh(&ann.refresh_token).await), "REFRESH_TOKEN_REUSED");
        auth.until_revoked(&tokens.access_token).await;
        let again = auth.login("ann", "another good password", "203.0.113.8").await.unwrap();
        assert_eq!(
            own(&auth, &again.access_token).await,
            [
                "authn_login_success password",
                "authn_token_reuse refresh token",
                "authn_password_change change",
                "authn_password_change_fail password",
                "authn_token_revoked session",
                "authn_login_success password",
                "authn_login_fail password",
                "user_created user",
            ]
        );
        let request = pb::ListSecurityEventsRequest { r#type: "authn_login_fail".into(), ..Default::default() };
        let failed = list(&auth, &again.access_token, request).await.unwrap().data.remove(0);
        assert_eq!(failed.client_address, "203.0.113.7");
        assert_eq!((failed.actor.as_str(), failed.session_id), ("", None));
        assert_eq!(failed.account_id, Some(ann.user.unwrap().id));
    }

    async fn an_event_is_written_with_its_effect_or_not_at_all(auth) {
        let ann = auth.register("ann").await;
        auth.register("bob").await;
        let before = auth.rows("security_events").await;
        let request = auth.as_service(pb::UpdateAccountRequest {
            account_id: ann.user.unwrap().id,
            username: Some("bob".into()),
            email: None,
        });
        assert_eq!(reason(&auth.client.clone().update_account(request).await), "USERNAME_TAKEN");
        assert_eq!(auth.rows("security_events").await, before);
    }

    async fn superusers_read_everybodys_trail_by_filters(auth) {
        let (root_id, root) = auth.superuser("root").await;
        let ann = auth.register("ann").await;
        let id = ann.user.unwrap().id;
        assert_eq!(reason(&auth.login("ann", "not the password", "203.0.113.7").await), "INVALID_CREDENTIALS");
        assert_eq!(reason(&auth.login("nobody", "not the password", "203.0.113.7").await), "INVALID_CREDENTIALS");
        auth.clock.advance(Duration::seconds(10));
        let since = auth.clock.now().unix_timestamp();
        let role = pb::SetStatusRequest {
            account_id: id.clone(),
            status: pb::AccountStatus::Disabled as i32,
            etag: String::new(),
        };
        auth.client.clone().set_status(with_token(role, &root)).await.unwrap();
        let everybody = pb::ListSecurityEventsRequest { account: "*".into(), ..Default::default() };
        let of_address = pb::ListSecurityEventsRequest { client_address: "203.0.113.7".into(), ..everybody.clone() };
        let found = list(&auth, &root, of_address.clone()).await.unwrap().data;
        let accounts: Vec<_> = found.iter().map(|event| event.account_id.clone()).collect();
        assert_eq!(accounts, [None, Some(id.clone())]);
        let recent = pb::ListSecurityEventsRequest {
            since: Some(prost_types::Timestamp { seconds: since, nanos: 0 }),
            ..everybody.clone()
        };
        let found = list(&auth, &root, recent).await.unwrap().data;
        assert_eq!((found.len(), found[0].r#type.as_str()), (1, "authz_admin"));
        assert_eq!(
            (found[0].actor.as_str(), found[0].account_id.clone(), found[0].detail.as_str()),
            (root_id.as_str(), Some(id.clone()), "disabled")
        );
        let bob = auth.register("bob").await.access_token;
        let of_ann = pb::ListSecurityEventsRequest { account: id, ..Default::default() };
        for request in [everybody, of_address, of_ann] {
            assert_eq!(reason(&list(&auth, &bob, request).await), "NOT_YOUR_USER");
        }
    }

    async fn the_trail_comes_in_pages(auth) {
        let ann = auth.register("ann").await;
        for _ in 0..4 {
            auth.clock.advance(Duration::seconds(1));
            auth.login("ann", PASSWORD, "").await.unwrap();
        }
        let mut request = pb::ListSecurityEventsRequest { page_size: Some(2), ..Default::default() };
        let mut seen = Vec::new();
        loop {
            let page = list(&auth, &ann.access_token, request.clone()).await.unwrap();
            seen.extend(page.data.into_iter().map(|event| event.id));
            assert_eq!(page.has_more, !page.next_page_token.is_empty());
            if !page.has_more {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(seen.len(), 5);
        assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    }

    async fn the_trail_is_kept_for_as_long_as_the_settings_have_it(auth) {
        auth.register("ann").await;
        auth.clock.advance(Duration::days(89));
        let cx = auth.cx();
        let before = cx.now - Duration::days(90);
        auth.store.prune(cx.now, before, &cx).await.unwrap();
        assert_eq!(auth.rows("security_events").await, 1);
        auth.store.prune(cx.now, before + Duration::days(1), &cx).await.unwrap();
        assert_eq!(auth.rows("security_events").await, 0);
    }
}

#[tokio::test]
async fn the_failure_from_which_on_others_are_delayed_is_recorded_as_a_lock() {
    let auth = start().await;
    auth.register("ann").await;
    for _ in 0..5 {
        assert_eq!(
            reason(&auth.login("ann", "not it", "203.0.113.7").await),
            "INVALID_CREDENTIALS"
        );
    }
    assert_eq!(
        reason(&auth.login("ann", "not it", "203.0.113.7").await),
        "TOO_MANY_ATTEMPTS"
    );
    let ann = auth.login("ann", PASSWORD, "203.0.113.8").await.unwrap();
    let trail = own(&auth, &ann.access_token).await;
    let count = |name: &str| trail.iter().filter(|event| event.starts_with(name)).count();
    assert_eq!(
        (count("authn_login_fail"), count("authn_login_lock")),
        (5, 1),
        "{trail:?}"
    );
}

#[tokio::test]
async fn the_owner_does_not_learn_where_a_superuser_works() {
    let auth = start().await;
    let (_, root) = auth.superuser("root").await;
    let ann = auth.register("ann").await;
    let id = ann.user.unwrap().id;
    let mut request = with_token(pb::EndSessionsRequest { account_id: id.clone() }, &root);
    quartet_testkit::identity::for_client_at(&mut request, "203.0.113.9", &auth.clock);
    auth.client.clone().end_sessions(request).await.unwrap();
    auth.until_revoked(&ann.access_token).await;
    let ann = auth.login("ann", PASSWORD, "").await.unwrap();
    let request = pb::ListSecurityEventsRequest {
        r#type: "authn_token_revoked".into(),
        ..Default::default()
    };
    let shown = list(&auth, &ann.access_token, request.clone())
        .await
        .unwrap()
        .data
        .remove(0);
    assert_eq!((shown.client_address.as_str(), shown.session_id), ("", None));
    let request = pb::ListSecurityEventsRequest { account: id, ..request };
    let shown = list(&auth, &root, request).await.unwrap().data.remove(0);
    assert_eq!(shown.client_address, "203.0.113.9");
    let nobody = with_token(
        pb::EndSessionsRequest {
            account_id: auth.clock.new_id().to_string(),
        },
        &root,
    );
    assert_eq!(
        reason(&auth.client.clone().end_sessions(nobody).await),
        "ACCOUNT_NOT_FOUND"
    );
}
