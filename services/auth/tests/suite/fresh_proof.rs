//! What demands a fresh proof of who calls, how that is given, and how a change of address is undone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quartet_proto::auth::v1 as pb;
use time::Duration;
use tonic::Status;

use crate::harness::{Auth, Kind, PASSWORD, reason, start, start_with, with_token};

fn claims(token: &str) -> serde_json::Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn logout_all(auth: &Auth, token: &str) -> String {
    let request = with_token(pb::LogoutAllRequest {}, token);
    reason(&auth.client.clone().logout_all(request).await)
}

async fn prove(auth: &Auth, token: &str, password: &str) -> Result<pb::ReauthenticateResponse, Status> {
    let request = pb::ReauthenticateRequest {
        password: password.into(),
        code: String::new(),
    };
    let answer = auth.client.clone().reauthenticate(with_token(request, token)).await;
    answer.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_stale_proof_is_renewed_by_the_password_and_a_refresh_keeps_its_time() {
    stale(start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_stale_proof_is_renewed_by_the_password_and_a_refresh_keeps_its_time_on_postgresql() {
    stale(start_with(Kind::Postgres, &[]).await).await;
}

async fn stale(auth: Auth) {
    let ann = auth.register("ann").await;
    let signed_in = auth.clock.now().unix_timestamp();
    assert_eq!(claims(&ann.access_token)["auth_time"], signed_in);
    assert_eq!(claims(&ann.access_token)["amr"], serde_json::json!(["pwd"]));
    auth.clock.advance(Duration::seconds(599));
    let renewed = auth.refresh(&ann.refresh_token).await.unwrap();
    assert_eq!(claims(&renewed.access_token)["auth_time"], signed_in);
    auth.clock.advance(Duration::seconds(2));
    for token in [&ann.access_token, &renewed.access_token] {
        let refused = auth
            .client
            .clone()
            .logout_all(with_token(pb::LogoutAllRequest {}, token))
            .await;
        assert_eq!(reason(&refused), "INSUFFICIENT_USER_AUTHENTICATION");
        assert_eq!(refused.unwrap_err().code(), tonic::Code::Unauthenticated);
        // Everything else goes on.
        auth.me(token).await.unwrap();
    }
    let other = auth.login("ann", PASSWORD, "").await.unwrap();
    let session = |token: &str| claims(token)["sid"].as_str().unwrap().to_owned();
    let revoke = async |id: String, token: &str| {
        let request = with_token(pb::RevokeSessionRequest { session_id: id }, token);
        reason(&auth.client.clone().revoke_session(request).await)
    };
    let other_id = session(&other.access_token);
    assert_eq!(
        revoke(other_id.clone(), &renewed.access_token).await,
        "INSUFFICIENT_USER_AUTHENTICATION"
    );

    let wrong = prove(&auth, &renewed.access_token, "not the password").await;
    assert_eq!(reason(&wrong), "WRONG_PASSWORD");
    let proven = prove(&auth, &renewed.access_token, PASSWORD).await.unwrap();
    let now = auth.clock.now().unix_timestamp();
    assert_eq!(claims(&proven.access_token)["auth_time"], now);
    assert_eq!(session(&proven.access_token), session(&ann.access_token));
    assert_eq!(revoke(other_id, &proven.access_token).await, "");
    // The token from before the proof stays as it is; the session has the proof.
    assert_eq!(
        logout_all(&auth, &renewed.access_token).await,
        "INSUFFICIENT_USER_AUTHENTICATION"
    );
    let next = auth.refresh(&renewed.refresh_token).await.unwrap();
    assert_eq!(claims(&next.access_token)["auth_time"], now);
    assert_eq!(logout_all(&auth, &next.access_token).await, "");
}

#[tokio::test]
async fn a_session_ends_itself_without_a_fresh_proof() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    auth.clock.advance(Duration::seconds(601));
    let id = claims(&ann.access_token)["sid"].as_str().unwrap().to_owned();
    let request = with_token(pb::RevokeSessionRequest { session_id: id }, &ann.access_token);
    assert_eq!(reason(&auth.client.clone().revoke_session(request).await), "");
}

#[tokio::test]
async fn guesses_at_the_proof_count_with_those_at_the_password() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    for _ in 0..4 {
        let wrong = prove(&auth, &ann.access_token, "not the password").await;
        assert_eq!(reason(&wrong), "WRONG_PASSWORD");
    }
    let request = pb::ChangePasswordRequest {
        current_password: "not the password".into(),
        new_password: "another good password".into(),
    };
    let request = with_token(request, &ann.access_token);
    assert_eq!(
        reason(&auth.client.clone().change_password(request).await),
        "WRONG_PASSWORD"
    );
    let wrong = prove(&auth, &ann.access_token, PASSWORD).await;
    assert_eq!(reason(&wrong), "TOO_MANY_ATTEMPTS");
}

async fn undo(auth: &Auth, token: &str) -> String {
    let request = pb::UndoEmailChangeRequest { token: token.into() };
    reason(&auth.client.clone().undo_email_change(request).await)
}

async fn verify(auth: &Auth, token: &str) {
    let request = pb::VerifyEmailRequest { token: token.into() };
    auth.client.clone().verify_email(request).await.unwrap();
}

/// Requests another address and proves it.
async fn change(auth: &Auth, account: &pb::RegisterResponse, email: &str) {
    let request = auth.as_service(pb::UpdateAccountRequest {
        account_id: account.user.clone().unwrap().id,
        username: None,
        email: Some(email.into()),
    });
    auth.client.clone().update_account(request).await.unwrap();
    let proof = auth.mails_to(email, 1).await.remove(0);
    verify(auth, &proof.token()).await;
}

/// An account whose address is proven.
async fn proven(auth: &Auth) -> pb::RegisterResponse {
    let ann = auth.register("ann").await;
    let proof = auth.mails_to("ann@example.org", 1).await[0].token();
    verify(auth, &proof).await;
    ann
}

#[tokio::test]
async fn the_old_address_undoes_a_change_for_three_days() {
    undone(start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn the_old_address_undoes_a_change_for_three_days_on_postgresql() {
    undone(start_with(Kind::Postgres, &[]).await).await;
}

async fn undone(auth: Auth) {
    let ann = proven(&auth).await;
    change(&auth, &ann, "eve@example.net").await;
    let mails = auth.mails_to("ann@example.org", 3).await;
    assert_eq!(mails[1].purpose, pb::MailPurpose::EmailChangeNotice);
    let undoing = &mails[2];
    assert_eq!(
        (undoing.purpose, undoing.name()),
        (pb::MailPurpose::EmailChangeUndo, "")
    );
    assert!(
        undoing
            .link()
            .starts_with("http://localhost:8000/undo-email-change?token="),
        "{undoing:?}"
    );
    auth.clock.advance(Duration::days(2));
    // Nobody else gets the address meanwhile.
    let request = pb::RegisterRequest {
        username: "other".into(),
        email: "Ann@Example.org".into(),
        password: PASSWORD.into(),
        ..Default::default()
    };
    assert_eq!(reason(&auth.client.clone().register(request).await), "EMAIL_TAKEN");

    let thief = auth.login("eve@example.net", PASSWORD, "").await.unwrap();
    assert_eq!(undo(&auth, &undoing.token()).await, "");
    auth.until_revoked(&thief.access_token).await;
    assert_eq!(auth.users.calls().pop().unwrap().email, "ann@example.org");
    let back = auth.login("ann@example.org", PASSWORD, "").await.unwrap();
    let account = auth.me(&back.access_token).await.unwrap();
    assert_eq!(
        (account.email.as_str(), account.email_verified),
        ("ann@example.org", true)
    );
    assert_eq!(
        undo(&auth, &undoing.token()).await,
        "INVALID_UNDO_TOKEN",
        "it works once"
    );
    assert_eq!(undo(&auth, "nonsense").await, "INVALID_UNDO_TOKEN");
}

#[tokio::test]
async fn a_link_that_undoes_a_change_expires() {
    let auth = start().await;
    let ann = proven(&auth).await;
    change(&auth, &ann, "anna@example.net").await;
    let token = auth.mails_to("ann@example.org", 3).await[2].token();
    auth.clock.advance(Duration::days(3));
    assert_eq!(undo(&auth, &token).await, "INVALID_UNDO_TOKEN");
}

#[tokio::test]
async fn an_undo_overtakes_the_changes_after_it_and_none_before() {
    let auth = start().await;
    let ann = proven(&auth).await;
    change(&auth, &ann, "eve@example.net").await;
    let anns = auth.mails_to("ann@example.org", 3).await[2].token();
    auth.clock.advance(Duration::minutes(2));
    change(&auth, &ann, "mallory@example.net").await;
    let eves = auth.mails_to("eve@example.net", 3).await[2].token();
    assert_eq!(undo(&auth, &anns).await, "");
    assert_eq!(undo(&auth, &eves).await, "INVALID_UNDO_TOKEN");
    auth.login("ann@example.org", PASSWORD, "").await.unwrap();
}

#[tokio::test]
async fn an_address_that_was_never_proven_undoes_nothing() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    auth.mails_to("ann@example.org", 1).await;
    change(&auth, &ann, "anna@example.net").await;
    let mails = auth.mails_to("ann@example.org", 2).await;
    assert_eq!(mails[1].purpose, pb::MailPurpose::EmailChangeNotice);
}
