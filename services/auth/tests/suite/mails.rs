//! Mails: what is sent, to whom, and what its token is good for.

use quartet_proto::auth::v1 as pb;
use time::Duration;
use tonic::Request;

use crate::harness::{Auth, Kind, PASSWORD, reason, start, start_with, with_token};

const NEW: &str = "another good password";

async fn request_reset(auth: &Auth, email: &str, language: &str) -> String {
    let mut request = Request::new(pb::RequestPasswordResetRequest { email: email.into() });
    request
        .metadata_mut()
        .insert("accept-language", language.parse().unwrap());
    reason(&auth.client.clone().request_password_reset(request).await)
}

async fn reset(auth: &Auth, token: &str, password: &str) -> String {
    let request = pb::ResetPasswordRequest {
        token: token.into(),
        new_password: password.into(),
    };
    reason(&auth.client.clone().reset_password(request).await)
}

async fn verify(auth: &Auth, token: &str) -> String {
    let request = pb::VerifyEmailRequest { token: token.into() };
    reason(&auth.client.clone().verify_email(request).await)
}

#[tokio::test]
async fn a_registration_sends_a_mail_that_proves_the_address() {
    proves_the_address(start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_registration_sends_a_mail_that_proves_the_address_on_postgresql() {
    proves_the_address(start_with(Kind::Postgres, &[]).await).await;
}

async fn proves_the_address(auth: Auth) {
    let ann = auth.register("ann").await;
    let mail = auth.mails_to("ann@example.org", 1).await.remove(0);
    assert_eq!(mail.purpose, pb::MailPurpose::EmailVerification, "{mail:?}");
    assert!(
        mail.link().starts_with("http://localhost:8000/verify-email?token="),
        "{mail:?}"
    );
    assert_eq!(
        (mail.name(), mail.language.as_str()),
        ("", "en"),
        "no word of a stranger"
    );
    let in_a_day = auth.clock.now() + Duration::days(1);
    assert_eq!(mail.expires_at(), in_a_day.unix_timestamp());
    assert_eq!(verify(&auth, &mail.token()).await, "");
    assert!(auth.me(&ann.access_token).await.unwrap().email_verified);
    assert_eq!(
        verify(&auth, &mail.token()).await,
        "INVALID_VERIFICATION_TOKEN",
        "a token works once"
    );
    let again = with_token(pb::RequestEmailVerificationRequest {}, &ann.access_token);
    let again = auth.client.clone().request_email_verification(again).await;
    assert_eq!(reason(&again), "EMAIL_ALREADY_VERIFIED");
    // The proven owner is greeted by name.
    assert_eq!(request_reset(&auth, "ann@example.org", "en").await, "");
    assert_eq!(auth.mails_to("ann@example.org", 2).await[1].name(), "ann");
}

#[tokio::test]
async fn a_mail_of_a_kind_is_sent_once_a_minute() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    auth.mails_to("ann@example.org", 1).await;
    let request = async || {
        let request = with_token(pb::RequestEmailVerificationRequest {}, &ann.access_token);
        auth.client.clone().request_email_verification(request).await.unwrap();
    };
    request().await;
    // Once a later request of another kind is fulfilled, the earlier one has been looked at.
    assert_eq!(request_reset(&auth, "ann@example.org", "en").await, "");
    let mails = auth.mails_to("ann@example.org", 2).await;
    assert_eq!(mails[1].purpose, pb::MailPurpose::PasswordReset, "{mails:?}");
    auth.clock.advance(Duration::seconds(61));
    request().await;
    let mails = auth.mails_to("ann@example.org", 3).await;
    assert_eq!(mails[2].purpose, pb::MailPurpose::EmailVerification, "{mails:?}");
}

#[tokio::test]
async fn a_reset_sets_the_password_once_and_ends_every_session() {
    reset_once(start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_reset_sets_the_password_once_and_ends_every_session_on_postgresql() {
    reset_once(start_with(Kind::Postgres, &[]).await).await;
}

async fn reset_once(auth: Auth) {
    let ann = auth.register("ann").await;
    auth.mails_to("ann@example.org", 1).await;
    assert_eq!(request_reset(&auth, "Ann@Example.org", "ru-RU, en;q=0.5").await, "");
    let mail = auth.mails_to("ann@example.org", 2).await.remove(1);
    assert_eq!((mail.name(), mail.language.as_str()), ("", "ru"));
    assert!(mail.link().contains("/reset-password?"), "{mail:?}");
    assert_eq!(mail.expires_at(), (auth.clock.now() + Duration::HOUR).unix_timestamp());
    let token = mail.token();

    assert_eq!(reset(&auth, &token, "password").await, "VALIDATION_FAILED");
    assert_eq!(reset(&auth, &token, "ann ann ann 1").await, "VALIDATION_FAILED");
    assert_eq!(
        reset(&auth, &token, NEW).await,
        "",
        "a weak password did not use the token up"
    );
    assert_eq!(reset(&auth, &token, NEW).await, "INVALID_RESET_TOKEN");
    auth.until_revoked(&ann.access_token).await;
    assert_eq!(reason(&auth.refresh(&ann.refresh_token).await), "INVALID_REFRESH_TOKEN");
    assert_eq!(reason(&auth.login("ann", PASSWORD, "").await), "INVALID_CREDENTIALS");
    auth.login("ann", NEW, "").await.unwrap();
    // Others do what follows from it, such as switching webhooks off.
    let kinds = crate::store::published(&auth, ann.user.unwrap().id.parse().unwrap()).await;
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| *kind == "auth.account.password_reset.v1")
            .count(),
        1
    );
}

#[tokio::test]
async fn an_address_without_an_account_gets_the_same_answer_and_no_mail() {
    let auth = start().await;
    auth.register("ann").await;
    auth.mails_to("ann@example.org", 1).await;
    assert_eq!(request_reset(&auth, "nobody@example.org", "").await, "");
    assert_eq!(request_reset(&auth, "ann@example.org", "").await, "");
    // Requests are fulfilled in order: the later one is out, so the earlier one is done.
    auth.mails_to("ann@example.org", 2).await;
    auth.mails_to("@example.org", 2).await;
    assert_eq!(request_reset(&auth, "no address", "").await, "VALIDATION_FAILED");
}

#[tokio::test]
async fn tokens_expire_and_serve_only_their_purpose() {
    let auth = start().await;
    auth.register("ann").await;
    let proof = auth.mails_to("ann@example.org", 1).await[0].token();
    request_reset(&auth, "ann@example.org", "").await;
    let key = auth.mails_to("ann@example.org", 2).await[1].token();
    assert_eq!(reset(&auth, &proof, NEW).await, "INVALID_RESET_TOKEN");
    assert_eq!(verify(&auth, &key).await, "INVALID_VERIFICATION_TOKEN");
    assert_eq!(reset(&auth, "nonsense", NEW).await, "INVALID_RESET_TOKEN");
    assert_eq!(verify(&auth, "").await, "VALIDATION_FAILED");

    auth.clock.advance(Duration::hours(1));
    assert_eq!(reset(&auth, &key, NEW).await, "INVALID_RESET_TOKEN");
    auth.clock.advance(Duration::hours(22));
    assert_eq!(verify(&auth, &proof).await, "");
}

async fn request_address(
    auth: &Auth,
    account: &pb::RegisterResponse,
    email: &str,
) -> Result<pb::Account, tonic::Status> {
    let request = auth.as_service(pb::UpdateAccountRequest {
        account_id: account.user.clone().unwrap().id,
        username: None,
        email: Some(email.into()),
    });
    let answer = auth.client.clone().update_account(request).await;
    answer.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn another_address_counts_once_it_is_proven_and_the_old_one_is_warned() {
    moves(start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn another_address_counts_once_it_is_proven_and_the_old_one_is_warned_on_postgresql() {
    moves(start_with(Kind::Postgres, &[]).await).await;
}

async fn moves(auth: Auth) {
    let ann = auth.register("ann").await;
    let proof = auth.mails_to("ann@example.org", 1).await[0].token();
    assert_eq!(verify(&auth, &proof).await, "");
    let answer = request_address(&auth, &ann, "Anna@example.net").await.unwrap();
    assert_eq!(
        (answer.email.as_str(), answer.email_verified, answer.pending_email()),
        ("ann@example.org", true, "Anna@example.net")
    );
    let notice = auth.mails_to("ann@example.org", 2).await.remove(1);
    assert!(notice.purpose == pb::MailPurpose::EmailChangeNotice, "{notice:?}");
    let change = auth.mails_to("Anna@example.net", 1).await.remove(0);
    assert_eq!(change.purpose, pb::MailPurpose::EmailChange, "{change:?}");
    let new = change.token();
    // A client that sends its request twice gets one mail, which the next step counts.
    let again = request_address(&auth, &ann, "Anna@example.net").await.unwrap();
    assert_eq!(again.pending_email(), "Anna@example.net");

    // Until then the old one signs in and resets the password, and the new one does neither.
    auth.login("ann@example.org", PASSWORD, "").await.unwrap();
    assert_eq!(
        reason(&auth.login("anna@example.net", PASSWORD, "").await),
        "INVALID_CREDENTIALS"
    );
    assert_eq!(request_reset(&auth, "anna@example.net", "").await, "");
    assert_eq!(request_reset(&auth, "ann@example.org", "").await, "");
    let key = auth.mails_to("ann@example.org", 3).await[2].token();
    auth.mails_to("Anna@example.net", 1).await;

    assert_eq!(verify(&auth, &new).await, "");
    let account = auth.me(&ann.access_token).await.unwrap();
    assert_eq!(
        (account.email.as_str(), account.email_verified, account.pending_email),
        ("Anna@example.net", true, None)
    );
    assert_eq!(auth.users.calls().pop().unwrap().email, "Anna@example.net");
    assert_eq!(
        reset(&auth, &key, NEW).await,
        "INVALID_RESET_TOKEN",
        "it was sent to the old address"
    );
    assert_eq!(verify(&auth, &new).await, "INVALID_VERIFICATION_TOKEN");
    auth.login("anna@example.net", PASSWORD, "").await.unwrap();
    assert_eq!(
        reason(&auth.login("ann@example.org", PASSWORD, "").await),
        "INVALID_CREDENTIALS"
    );
}

#[tokio::test]
async fn an_address_goes_to_the_first_who_proves_it() {
    let auth = start().await;
    let (ann, eve) = (auth.register("ann").await, auth.register("eve").await);
    request_address(&auth, &eve, "both@example.net").await.unwrap();
    auth.mails_to("both@example.net", 1).await;
    request_address(&auth, &ann, "both@example.net").await.unwrap();
    let mails = auth.mails_to("both@example.net", 2).await;
    let [eves, anns] = [0, 1].map(|n| mails[n].token());
    assert_eq!(verify(&auth, &anns).await, "");
    assert_eq!(verify(&auth, &eves).await, "EMAIL_TAKEN");
    assert_eq!(auth.me(&ann.access_token).await.unwrap().email, "both@example.net");
    assert_eq!(auth.me(&eve.access_token).await.unwrap().email, "eve@example.org");
    let taken = request_address(&auth, &eve, "Both@example.net").await;
    assert_eq!(reason(&taken), "EMAIL_TAKEN");
}

#[tokio::test]
async fn what_was_requested_is_taken_back_by_the_own_address_or_another_password() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    request_address(&auth, &ann, "first@example.net").await.unwrap();
    let first = auth.mails_to("first@example.net", 1).await[0].token();
    let answer = request_address(&auth, &ann, "Ann@example.org").await.unwrap();
    assert_eq!((answer.email.as_str(), answer.pending_email), ("Ann@example.org", None));
    assert_eq!(verify(&auth, &first).await, "INVALID_VERIFICATION_TOKEN");

    request_address(&auth, &ann, "second@example.net").await.unwrap();
    let second = auth.mails_to("second@example.net", 1).await[0].token();
    let request = pb::ChangePasswordRequest {
        current_password: PASSWORD.into(),
        new_password: NEW.into(),
    };
    let request = with_token(request, &ann.access_token);
    auth.client.clone().change_password(request).await.unwrap();
    assert_eq!(verify(&auth, &second).await, "INVALID_VERIFICATION_TOKEN");
    assert_eq!(auth.me(&ann.access_token).await.unwrap().email, "Ann@example.org");
}

#[tokio::test]
async fn the_mail_to_an_address_that_was_requested_can_be_sent_again() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    let proof = auth.mails_to("ann@example.org", 1).await[0].token();
    assert_eq!(verify(&auth, &proof).await, "");
    request_address(&auth, &ann, "anna@example.net").await.unwrap();
    auth.mails_to("anna@example.net", 1).await;
    auth.clock.advance(Duration::seconds(61));
    let request = with_token(pb::RequestEmailVerificationRequest {}, &ann.access_token);
    auth.client.clone().request_email_verification(request).await.unwrap();
    let again = auth.mails_to("anna@example.net", 2).await.remove(1);
    assert_eq!(verify(&auth, &again.token()).await, "");
}

#[tokio::test]
async fn a_mail_that_is_sent_again_carries_the_same_token_until_that_is_used() {
    sent_again(start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_mail_that_is_sent_again_carries_the_same_token_until_that_is_used_on_postgresql() {
    sent_again(start_with(Kind::Postgres, &[]).await).await;
}

async fn sent_again(auth: Auth) {
    auth.register("ann").await;
    assert_eq!(request_reset(&auth, "ann@example.org", "").await, "");
    let request = auth.requests().await.remove(1);
    let first = auth.issue(&request).await.unwrap();
    auth.clock.advance(Duration::minutes(30));
    // By another process, since the one that sent it has died.
    let another = auth.another(&[]).await;
    assert_eq!(another.issue(&request).await.unwrap(), first);
    assert_eq!(auth.rows("mail_tokens").await, 1);
    assert_eq!(reset(&auth, &first.token(), NEW).await, "");
    assert_eq!(auth.issue(&request).await, None, "the token was used");
    auth.clock.advance(Duration::hours(2));
    assert_eq!(auth.issue(&request).await, None, "also once it would have expired");
}

#[tokio::test]
async fn a_token_that_has_expired_before_its_mail_was_sent_is_drawn_anew() {
    let auth = start().await;
    auth.register("ann").await;
    assert_eq!(request_reset(&auth, "ann@example.org", "").await, "");
    let request = auth.requests().await.remove(1);
    let first = auth.issue(&request).await.unwrap();
    auth.clock.advance(Duration::hours(1));
    let second = auth.issue(&request).await.unwrap();
    assert_ne!(second.token(), first.token());
    assert_eq!(auth.rows("mail_tokens").await, 1, "a request has one token");
    assert_eq!(reset(&auth, &first.token(), NEW).await, "INVALID_RESET_TOKEN");
    assert_eq!(reset(&auth, &second.token(), NEW).await, "");
}

#[tokio::test]
async fn a_mail_that_nobody_needs_any_more_is_not_sent() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    assert_eq!(request_reset(&auth, "ann@example.org", "").await, "");
    request_address(&auth, &ann, "first@example.net").await.unwrap();
    request_address(&auth, &ann, "second@example.net").await.unwrap();
    let purposes = [
        pb::MailPurpose::EmailVerification,
        pb::MailPurpose::PasswordReset,
        pb::MailPurpose::EmailChangeNotice,
        pb::MailPurpose::EmailChange,
        pb::MailPurpose::EmailChangeNotice,
        pb::MailPurpose::EmailChange,
    ];
    let requests = auth.requests().await;
    let made: Vec<_> = requests
        .iter()
        .map(|made| made.request.clone().unwrap().purpose())
        .collect();
    assert_eq!(made, purposes);
    assert_eq!(
        auth.issue(&requests[3]).await,
        None,
        "another address was requested since"
    );
    let proof = auth.issue(&requests[0]).await.unwrap();
    assert_eq!(verify(&auth, &proof.token()).await, "");
    assert_eq!(auth.issue(&requests[0]).await, None, "the address is proven");
    let id = ann.user.unwrap().id;
    let close = auth.as_service(pb::CloseAccountRequest { account_id: id });
    auth.client.clone().close_account(close).await.unwrap();
    for request in &requests {
        assert_eq!(auth.issue(request).await, None, "the account is closed: {request:?}");
    }
}

#[tokio::test]
async fn a_changed_password_voids_the_token_of_a_mail_for_good() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    assert_eq!(request_reset(&auth, "ann@example.org", "").await, "");
    let request = auth.requests().await.remove(1);
    let mail = auth.issue(&request).await.unwrap();
    let change = pb::ChangePasswordRequest {
        current_password: PASSWORD.into(),
        new_password: NEW.into(),
    };
    let change = with_token(change, &ann.access_token);
    auth.client.clone().change_password(change).await.unwrap();
    assert_eq!(reset(&auth, &mail.token(), NEW).await, "INVALID_RESET_TOKEN");
    assert_eq!(auth.issue(&request).await, None, "it is not drawn anew");
}

#[tokio::test]
async fn a_request_carries_no_secret_and_goes_with_its_write() {
    let auth = start().await;
    auth.register("ann").await;
    let published = auth.published_requests().await.remove(0);
    let token = auth.mails_to("ann@example.org", 1).await[0].token();
    assert!(!String::from_utf8_lossy(&published).contains(&token));
    assert_eq!(auth.rows("mail_tokens").await, 1);
    let taken = pb::RegisterRequest {
        name: String::new(),
        username: "ann".into(),
        email: "other@example.org".into(),
        password: PASSWORD.into(),
        use_cookie: false,
    };
    assert_eq!(reason(&auth.client.clone().register(taken).await), "USERNAME_TAKEN");
    assert_eq!(auth.requests().await.len(), 1);
}

#[tokio::test]
async fn only_a_right_request_of_a_service_gets_a_mail() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    let request = auth.requests().await.remove(0).request.unwrap();
    let wrong = pb::MailRequest {
        id: "7".into(),
        purpose: 0,
        ..request.clone()
    };
    for wrong in [Some(wrong), None] {
        let call = auth.as_service(pb::IssueMailRequest { request: wrong });
        assert_eq!(reason(&auth.mails().issue_mail(call).await), "VALIDATION_FAILED");
    }
    let call = with_token(pb::IssueMailRequest { request: Some(request) }, &ann.access_token);
    assert!(auth.mails().issue_mail(call).await.is_err(), "users are refused");
}
