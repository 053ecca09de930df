//! Changing the password.

use quartet_proto::auth::v1 as pb;
use quartet_store::Database;
use time::Duration;

use crate::harness::{Auth, Kind, PASSWORD, eventually, on_both, reason, start, start_with, with_token};

const NEW: &str = "another good password";

async fn change(auth: &Auth, token: &str, current: &str, new: &str) -> String {
    let request = pb::ChangePasswordRequest {
        current_password: current.into(),
        new_password: new.into(),
    };
    reason(&auth.client.clone().change_password(with_token(request, token)).await)
}

#[tokio::test]
async fn a_change_ends_the_other_sessions_and_keeps_this_one() {
    change_once(start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_change_ends_the_other_sessions_and_keeps_this_one_on_postgresql() {
    change_once(start_with(Kind::Postgres, &[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_session_that_ends_while_its_password_is_replaced_gets_no_successor() {
    let auth = start_with(Kind::Postgres, &[]).await;
    let ann = auth.register("ann").await;
    let Database::Postgres(database) = auth.database() else {
        panic!("the database is PostgreSQL");
    };
    // A logout that is yet to commit.
    let mut logout = database.pool().begin().await.unwrap();
    sqlx::query("update sessions set ended_at = created_at, end_reason = 'logout'")
        .execute(&mut *logout)
        .await
        .unwrap();
    let request = pb::ReplacePasswordRequest {
        current_password: PASSWORD.into(),
        new_password: NEW.into(),
        refresh_cookie: None,
    };
    let request = with_token(request, &ann.access_token);
    let mut client = auth.client.clone();
    let replaced = tokio::spawn(async move { client.replace_password(request).await });
    let waits = "select exists (select 1 from pg_stat_activity
                                 where datname = current_database() and wait_event_type = 'Lock'
                                   and query like '%end_reason%')";
    eventually(async || sqlx::query_scalar(waits).fetch_one(database.pool()).await.unwrap()).await;
    logout.commit().await.unwrap();
    assert_eq!(reason(&replaced.await.unwrap()), "SESSION_NOT_FOUND");
    // Nothing has changed.
    assert_eq!(auth.rows("sessions").await, 1);
    auth.login("ann", PASSWORD, "").await.unwrap();
}

async fn change_once(auth: Auth) {
    let other = auth.register("ann").await;
    let this = auth.login("ann", PASSWORD, "").await.unwrap();
    assert_eq!(change(&auth, &this.access_token, PASSWORD, NEW).await, "");
    auth.until_revoked(&other.access_token).await;
    assert_eq!(
        reason(&auth.refresh(&other.refresh_token).await),
        "INVALID_REFRESH_TOKEN"
    );
    auth.me(&this.access_token).await.unwrap();
    auth.refresh(&this.refresh_token).await.unwrap();
    assert_eq!(reason(&auth.login("ann", PASSWORD, "").await), "INVALID_CREDENTIALS");
    auth.login("ann", NEW, "").await.unwrap();
}

#[tokio::test]
async fn a_password_is_not_the_name_that_others_see() {
    let auth = start().await;
    let request = |password: &str| pb::RegisterRequest {
        name: "Ann of Green Gables".into(),
        username: "shirley".into(),
        email: "cordelia@example.org".into(),
        password: password.into(),
        use_cookie: false,
    };
    let mut client = auth.client.clone();
    let refused = client.register(request("ann of green gables")).await;
    assert_eq!(reason(&refused), "VALIDATION_FAILED");
    let ann = client.register(request(PASSWORD)).await.unwrap().into_inner();
    assert_eq!(
        change(&auth, &ann.access_token, PASSWORD, "Ann Of Green Gables").await,
        "VALIDATION_FAILED"
    );
}

#[tokio::test]
async fn a_stolen_token_does_not_serve_to_guess_the_password() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    assert_eq!(
        change(&auth, &ann.access_token, PASSWORD, "ann ann ann 1").await,
        "VALIDATION_FAILED"
    );
    for _ in 0..5 {
        assert_eq!(
            change(&auth, &ann.access_token, "not the password", NEW).await,
            "WRONG_PASSWORD"
        );
    }
    assert_eq!(
        change(&auth, &ann.access_token, PASSWORD, NEW).await,
        "TOO_MANY_ATTEMPTS"
    );
    auth.clock.advance(Duration::seconds(1));
    assert_eq!(change(&auth, &ann.access_token, PASSWORD, NEW).await, "");
}

#[tokio::test]
async fn a_change_voids_the_reset_that_was_requested_before() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    auth.mails_to("ann@example.org", 1).await;
    let request = pb::RequestPasswordResetRequest {
        email: "ann@example.org".into(),
    };
    auth.client.clone().request_password_reset(request).await.unwrap();
    let token = auth.mails_to("ann@example.org", 2).await[1].token();
    assert_eq!(change(&auth, &ann.access_token, PASSWORD, NEW).await, "");
    let request = pb::ResetPasswordRequest {
        token,
        new_password: "a third good password".into(),
    };
    let reset = auth.client.clone().reset_password(request).await;
    assert_eq!(reason(&reset), "INVALID_RESET_TOKEN");
}

async fn sessions(auth: &Auth, token: &str) -> Vec<pb::Session> {
    let request = with_token(pb::ListSessionsRequest::default(), token);
    auth.client
        .clone()
        .list_sessions(request)
        .await
        .unwrap()
        .into_inner()
        .data
}

on_both! {
    async fn a_replaced_password_renews_the_tokens_of_its_session(auth) {
        let other = auth.register("ann").await;
        let this = auth.login("ann", PASSWORD, "").await.unwrap();
        let used = this.refresh_token.clone();
        let this = auth.refresh(&used).await.unwrap();
        let before = sessions(&auth, &this.access_token).await.into_iter().find(|s| s.current).unwrap();
        auth.clock.advance(Duration::minutes(2));
        let this = auth.refresh(&this.refresh_token).await.unwrap();

        assert_eq!(reason(&auth.replace_password(&this.access_token, "not the password", NEW).await), "WRONG_PASSWORD");
        assert_eq!(reason(&auth.replace_password(&this.access_token, PASSWORD, "password").await), "VALIDATION_FAILED");
        auth.me(&this.access_token).await.unwrap();
        let new = auth.replace_password(&this.access_token, PASSWORD, NEW).await.unwrap();
        auth.until_revoked(&this.access_token).await;
        auth.until_revoked(&other.access_token).await;
        assert!(new.refresh_cookie.is_none() && new.device_token.is_none(), "the device is known already");
        let listed = sessions(&auth, &new.access_token).await;
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert!(listed[0].current && listed[0].id != before.id);
        assert_eq!(listed[0].expires_at, before.expires_at, "no longer life than the login gave it");

        // Whoever has an old token learns that it is over, and ends nothing: neither what was in force nor
        // what was used before it.
        for old in [&this.refresh_token, &used, &other.refresh_token] {
            assert_eq!(reason(&auth.refresh(old).await), "INVALID_REFRESH_TOKEN");
        }
        let next = auth.refresh(&new.refresh_token).await.unwrap();
        auth.clock.advance(Duration::minutes(5));
        assert_eq!(reason(&auth.refresh(&this.refresh_token).await), "INVALID_REFRESH_TOKEN");
        auth.me(&next.access_token).await.unwrap();
        let last = auth.refresh(&next.refresh_token).await.unwrap();
        auth.me(&last.access_token).await.unwrap();
        auth.login("ann", NEW, "").await.unwrap();
        // The new family is guarded as any other.
        assert_eq!(reason(&auth.refresh(&new.refresh_token).await), "REFRESH_TOKEN_REUSED");
    }

    async fn a_replaced_password_is_a_fresh_proof(auth) {
        let ann = auth.register("ann").await;
        auth.clock.advance(Duration::minutes(14));
        let all = pb::LogoutAllRequest {};
        let stale = auth.client.clone().logout_all(with_token(all, &ann.access_token)).await;
        assert_eq!(reason(&stale), "INSUFFICIENT_USER_AUTHENTICATION");
        let new = auth.replace_password(&ann.access_token, PASSWORD, NEW).await.unwrap();
        // Refreshes keep the time of the proof, so the store has it.
        let new = auth.refresh(&new.refresh_token).await.unwrap();
        auth.client.clone().logout_all(with_token(all, &new.access_token)).await.unwrap();
    }
}

#[tokio::test]
async fn a_browser_gets_the_cookie_of_a_replaced_password_again() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    let request = pb::ReplacePasswordRequest {
        current_password: PASSWORD.into(),
        new_password: NEW.into(),
        refresh_cookie: Some("whatever it is".into()),
    };
    let request = with_token(request, &ann.access_token);
    let new = auth
        .client
        .clone()
        .replace_password(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(new.refresh_token, "");
    auth.refresh(&new.refresh_cookie.unwrap()).await.unwrap();
}
