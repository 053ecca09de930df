//! Changing the password.

use quartet_proto::auth::v1 as pb;
use time::Duration;

use crate::harness::{Auth, Kind, PASSWORD, reason, start, start_with, with_token};

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
        change(&auth, &ann.access_token, PASSWORD, "annann inside").await,
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
