//! The second factor: enrolling one, signing in by it, and getting rid of it.

use quartet_auth::domain::TotpSecret;
use quartet_proto::auth::v1 as pb;
use time::Duration;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt;

use crate::harness::{Auth, Kind, PASSWORD, on_both, reason, start, start_with, with_token};

/// An account with a confirmed second factor.
struct Owner {
    secret: TotpSecret,
    recovery_codes: Vec<String>,
    access_token: String,
    id: String,
}

async fn enrol(auth: &Auth, token: &str) -> Result<pb::EnrolSecondFactorResponse, Status> {
    let request = with_token(pb::EnrolSecondFactorRequest {}, token);
    auth.factors()
        .enrol_second_factor(request)
        .await
        .map(Response::into_inner)
}

async fn confirm(auth: &Auth, token: &str, code: &str) -> Result<pb::ConfirmSecondFactorResponse, Status> {
    let request = with_token(pb::ConfirmSecondFactorRequest { code: code.into() }, token);
    auth.factors()
        .confirm_second_factor(request)
        .await
        .map(Response::into_inner)
}

async fn owner(auth: &Auth, username: &str) -> Owner {
    let registered = auth.register(username).await;
    let enrolled = enrol(auth, &registered.access_token).await.unwrap();
    let secret = TotpSecret::from_base32(&enrolled.secret).unwrap();
    let confirmed = confirm(auth, &registered.access_token, &secret.code_at(auth.clock.now()))
        .await
        .unwrap();
    // The next code is one that was not used.
    auth.clock.advance(Duration::seconds(30));
    Owner {
        secret,
        recovery_codes: confirmed.recovery_codes,
        access_token: confirmed.access_token,
        id: registered.user.unwrap().id,
    }
}

impl Owner {
    fn code(&self, auth: &Auth) -> String {
        self.secret.code_at(auth.clock.now())
    }
}

/// The challenge of a login whose password is right.
async fn challenge(auth: &Auth, name: &str) -> String {
    let refused = auth.login(name, PASSWORD, "").await.unwrap_err();
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), &*info.metadata["expires_in"]),
        ("MFA_REQUIRED", "300")
    );
    info.metadata["challenge"].clone()
}

async fn complete(auth: &Auth, challenge: &str, code: &str) -> Result<pb::TokenResponse, Status> {
    let request = pb::CompleteLoginRequest {
        challenge: challenge.into(),
        code: code.into(),
        ..Default::default()
    };
    auth.factors()
        .complete_login(Request::new(request))
        .await
        .map(Response::into_inner)
}

async fn prove(auth: &Auth, token: &str, password: &str, code: &str) -> Result<pb::ReauthenticateResponse, Status> {
    let request = pb::ReauthenticateRequest {
        password: password.into(),
        code: code.into(),
    };
    let answer = auth.client.clone().reauthenticate(with_token(request, token)).await;
    answer.map(Response::into_inner)
}

async fn status(auth: &Auth, token: &str) -> pb::SecondFactor {
    let request = with_token(pb::GetSecondFactorRequest {}, token);
    auth.factors().get_second_factor(request).await.unwrap().into_inner()
}

on_both! {
    async fn a_reset_that_proves_the_address_removes_a_second_factor_from_before(auth) {
        // Somebody has registered with a stranger's address.
        let eve = owner(&auth, "ann").await;
        let reset = async |password: &str, mails: usize| {
            let request = pb::RequestPasswordResetRequest { email: "ann@example.org".into() };
            auth.client.clone().request_password_reset(request).await.unwrap();
            let token = auth.mails_to("ann@example.org", mails).await.pop().unwrap().token();
            let request = pb::ResetPasswordRequest { token, new_password: password.into() };
            auth.client.clone().reset_password(request).await.unwrap();
        };
        reset("another good password", 2).await;
        let tokens = auth.login("ann@example.org", "another good password", "").await.unwrap();
        let events = auth.events();
        let trail = async |token: &str| {
            let request = with_token(pb::ListSecurityEventsRequest::default(), token);
            let events = events.clone().list_security_events(request).await.unwrap().into_inner().data;
            events.into_iter().map(|event| (event.r#type, event.detail)).collect::<Vec<_>>()
        };
        let events = trail(&tokens.access_token).await;
        for expected in [("user_updated", "email verified"), ("authn_second_factor_remove", "email verified")] {
            let count = events.iter().filter(|(kind, detail)| (kind.as_str(), detail.as_str()) == expected).count();
            assert_eq!(count, 1, "{events:?}");
        }
        assert_eq!(eve.id, auth.me(&tokens.access_token).await.unwrap().id);

        // From then on, a reset does not pass one by.
        let enrolled = enrol(&auth, &tokens.access_token).await.unwrap();
        let secret = TotpSecret::from_base32(&enrolled.secret).unwrap();
        confirm(&auth, &tokens.access_token, &secret.code_at(auth.clock.now())).await.unwrap();
        auth.clock.advance(Duration::seconds(61));
        reset("a third good password", 3).await;
        let refused = auth.login("ann", "a third good password", "").await;
        assert_eq!(reason(&refused), "MFA_REQUIRED");
    }

    async fn a_login_takes_a_password_and_a_code(auth) {
        let ann = owner(&auth, "ann").await;
        let shown = status(&auth, &ann.access_token).await;
        assert_eq!((shown.enabled, shown.recovery_codes_left), (true, 10));
        assert_eq!(ann.recovery_codes.len(), 10);
        let challenge = challenge(&auth, "ann").await;
        let wrong = complete(&auth, &challenge, "000000").await;
        assert_eq!(reason(&wrong), "WRONG_CODE");
        let code = ann.code(&auth);
        let tokens = complete(&auth, &challenge, &code).await.unwrap();
        auth.me(&tokens.access_token).await.unwrap();
        // The code works once, and so does none before it.
        assert_eq!(reason(&complete(&auth, &challenge, &code).await), "WRONG_CODE");
        let earlier = ann.secret.code_at(auth.clock.now() - Duration::seconds(30));
        assert_eq!(reason(&complete(&auth, &challenge, &earlier).await), "WRONG_CODE");
        auth.clock.advance(Duration::seconds(30));
        complete(&auth, &challenge, &ann.code(&auth)).await.unwrap();
        // A wrong password has no challenge.
        let wrong = auth.login("ann", "not the password", "").await;
        assert_eq!(reason(&wrong), "INVALID_CREDENTIALS");
    }

    async fn a_code_that_is_used_at_once_signs_in_once(auth) {
        let ann = owner(&auth, "ann").await;
        let challenge = challenge(&auth, "ann").await;
        let code = ann.code(&auth);
        let both = futures::future::join_all((0..4).map(|_| complete(&auth, &challenge, &code))).await;
        assert_eq!(both.iter().filter(|answer| answer.is_ok()).count(), 1, "{both:?}");
    }

    async fn a_recovery_code_signs_in_once(auth) {
        let ann = owner(&auth, "ann").await;
        let challenge = challenge(&auth, "ann").await;
        let code = ann.recovery_codes[3].to_uppercase();
        let tokens = complete(&auth, &challenge, &code).await.unwrap();
        assert_eq!(status(&auth, &tokens.access_token).await.recovery_codes_left, 9);
        assert_eq!(reason(&complete(&auth, &challenge, &code).await), "WRONG_CODE");
        let request = with_token(pb::RenewRecoveryCodesRequest {}, &tokens.access_token);
        let renewed = auth.factors().renew_recovery_codes(request).await.unwrap().into_inner();
        let old = complete(&auth, &challenge, &ann.recovery_codes[4]).await;
        assert_eq!(reason(&old), "WRONG_CODE");
        complete(&auth, &challenge, &renewed.recovery_codes[0]).await.unwrap();
    }

    async fn a_superuser_resets_a_second_factor_that_was_lost(auth) {
        let ann = owner(&auth, "ann").await;
        let (_, root) = auth.superuser("root").await;
        let request = || with_token(pb::ResetSecondFactorRequest { account_id: ann.id.clone() }, &root);
        auth.factors().reset_second_factor(request()).await.unwrap();
        auth.until_revoked(&ann.access_token).await;
        auth.login("ann", PASSWORD, "").await.unwrap();
        let again = auth.factors().reset_second_factor(request()).await;
        assert_eq!(reason(&again), "SECOND_FACTOR_NOT_FOUND");
        assert_eq!(auth.rows("second_factors").await, 0);
    }
}

#[tokio::test]
async fn a_second_factor_counts_once_a_code_has_confirmed_it() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    let first = enrol(&auth, &ann.access_token).await.unwrap();
    assert!(
        first.uri.starts_with("otpauth://totp/Quartet:ann?secret="),
        "{}",
        first.uri
    );
    assert!(first.qr_svg.starts_with("<svg "));
    assert!(!status(&auth, &ann.access_token).await.enabled);
    auth.login("ann", PASSWORD, "").await.unwrap();
    let second = enrol(&auth, &ann.access_token).await.unwrap();
    let code = |secret: &str| TotpSecret::from_base32(secret).unwrap().code_at(auth.clock.now());
    let old = confirm(&auth, &ann.access_token, &code(&first.secret)).await;
    assert_eq!(reason(&old), "WRONG_CODE");
    let confirmed = confirm(&auth, &ann.access_token, &code(&second.secret)).await.unwrap();
    assert!(status(&auth, &confirmed.access_token).await.enabled);
    let again = confirm(&auth, &ann.access_token, &code(&second.secret)).await;
    assert_eq!(reason(&again), "SECOND_FACTOR_EXISTS");
    assert_eq!(reason(&enrol(&auth, &ann.access_token).await), "SECOND_FACTOR_EXISTS");
}

#[tokio::test]
async fn the_store_has_neither_the_secret_nor_the_recovery_codes() {
    let auth = start().await;
    let ann = owner(&auth, "ann").await;
    let quartet_store::Database::Sqlite(database) = auth.database() else {
        panic!("the test is over SQLite");
    };
    let (secret, codes): (Vec<u8>, Vec<u8>) = sqlx::query_as("select secret, recovery_codes from second_factors")
        .fetch_one(database.pool())
        .await
        .unwrap();
    let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(!holds(&secret, ann.secret.expose()));
    assert_eq!(codes.len(), 320);
    let text = ann.recovery_codes[0].replace('-', "").to_uppercase();
    assert!(!holds(&codes, text.as_bytes()));
}

#[tokio::test]
async fn a_challenge_expires_and_ends_with_the_password() {
    let auth = start().await;
    let ann = owner(&auth, "ann").await;
    let first = challenge(&auth, "ann").await;
    auth.clock.advance(Duration::seconds(301));
    let late = complete(&auth, &first, &ann.code(&auth)).await;
    assert_eq!(reason(&late), "INVALID_CHALLENGE");
    let second = challenge(&auth, "ann").await;
    let request = pb::ChangePasswordRequest {
        current_password: PASSWORD.into(),
        new_password: "another good password".into(),
    };
    let request = with_token(request, &ann.access_token);
    auth.client.clone().change_password(request).await.unwrap();
    let changed = complete(&auth, &second, &ann.code(&auth)).await;
    assert_eq!(reason(&changed), "INVALID_CHALLENGE");
    for forged in ["nonsense", &second[..40]] {
        assert_eq!(reason(&complete(&auth, forged, "123456").await), "INVALID_CHALLENGE");
    }
}

#[tokio::test]
async fn a_replaced_password_is_no_fresh_proof_of_who_has_a_second_factor() {
    let auth = start().await;
    let ann = owner(&auth, "ann").await;
    auth.clock.advance(Duration::minutes(14));
    let new = auth
        .replace_password(&ann.access_token, PASSWORD, "another good password")
        .await
        .unwrap();
    let remove = with_token(pb::RemoveSecondFactorRequest {}, &new.access_token);
    let stale = auth.factors().remove_second_factor(remove).await;
    assert_eq!(reason(&stale), "INSUFFICIENT_USER_AUTHENTICATION");
    // The session is as well proven as before, and a code is the proof.
    let code = ann.code(&auth);
    let proven = prove(&auth, &new.access_token, "", &code).await.unwrap();
    let remove = with_token(pb::RemoveSecondFactorRequest {}, &proven.access_token);
    auth.factors().remove_second_factor(remove).await.unwrap();
}

#[tokio::test]
async fn guesses_at_a_code_are_slowed_however_they_are_made() {
    let auth = start().await;
    let ann = owner(&auth, "ann").await;
    let challenge = challenge(&auth, "ann").await;
    for _ in 0..3 {
        assert_eq!(reason(&complete(&auth, &challenge, "000000").await), "WRONG_CODE");
    }
    for _ in 0..2 {
        assert_eq!(
            reason(&prove(&auth, &ann.access_token, "", "000000").await),
            "WRONG_CODE"
        );
    }
    let right = complete(&auth, &challenge, &ann.code(&auth)).await;
    assert_eq!(reason(&right), "TOO_MANY_ATTEMPTS");
    // Whoever has no challenge delays nobody.
    auth.clock.advance(Duration::seconds(2));
    for _ in 0..10 {
        assert_eq!(reason(&complete(&auth, "forged", "000000").await), "INVALID_CHALLENGE");
    }
    complete(&auth, &challenge, &ann.code(&auth)).await.unwrap();
}

#[tokio::test]
async fn a_second_factor_is_the_fresh_proof_of_who_has_one() {
    let auth = start().await;
    let ann = owner(&auth, "ann").await;
    auth.clock.advance(Duration::seconds(601));
    let remove = async |token: &str| {
        let request = with_token(pb::RemoveSecondFactorRequest {}, token);
        reason(&auth.factors().remove_second_factor(request).await)
    };
    assert_eq!(remove(&ann.access_token).await, "INSUFFICIENT_USER_AUTHENTICATION");
    let refused = prove(&auth, &ann.access_token, PASSWORD, "").await;
    assert_eq!(reason(&refused), "INSUFFICIENT_USER_AUTHENTICATION");
    let info = refused.unwrap_err().get_details_error_info().unwrap();
    assert_eq!(info.metadata["acr_values"], "urn:quartet:acr:two-factors");
    let both = prove(&auth, &ann.access_token, PASSWORD, &ann.code(&auth)).await;
    assert_eq!(reason(&both), "VALIDATION_FAILED");
    let proven = prove(&auth, &ann.access_token, "", &ann.code(&auth)).await.unwrap();
    assert_eq!(remove(&proven.access_token).await, "");
    assert_eq!(remove(&proven.access_token).await, "SECOND_FACTOR_NOT_FOUND");
    auth.login("ann", PASSWORD, "").await.unwrap();
}

#[tokio::test]
async fn superusers_may_have_to_prove_who_they_are_by_two_factors() {
    let auth = start_with(Kind::Sqlite, &[("SUPERUSERS_NEED_SECOND_FACTOR", "true")]).await;
    let (_, root) = auth.superuser("root").await;
    let ann = auth.register("ann").await.user.unwrap().id;
    let disable = async |token: &str| {
        let request = pb::SetStatusRequest {
            account_id: ann.clone(),
            status: pb::AccountStatus::Disabled as i32,
            etag: String::new(),
        };
        auth.client.clone().set_status(with_token(request, token)).await
    };
    let refused = disable(&root).await;
    assert_eq!(reason(&refused), "INSUFFICIENT_USER_AUTHENTICATION");
    let info = refused.unwrap_err().get_details_error_info().unwrap();
    assert_eq!(info.metadata["acr_values"], "urn:quartet:acr:two-factors");
    let enrolled = enrol(&auth, &root).await.unwrap();
    let secret = TotpSecret::from_base32(&enrolled.secret).unwrap();
    let confirmed = confirm(&auth, &root, &secret.code_at(auth.clock.now())).await.unwrap();
    disable(&confirmed.access_token).await.unwrap();
}

#[tokio::test]
async fn an_undone_change_of_address_takes_a_second_factor_with_it_that_came_after() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    let verify = async |token: String| {
        let request = pb::VerifyEmailRequest { token };
        auth.client.clone().verify_email(request).await.unwrap();
    };
    verify(auth.mails_to("ann@example.org", 1).await[0].token()).await;
    let request = auth.as_service(pb::UpdateAccountRequest {
        account_id: ann.user.clone().unwrap().id,
        username: None,
        email: Some("eve@example.net".into()),
    });
    auth.client.clone().update_account(request).await.unwrap();
    verify(auth.mails_to("eve@example.net", 1).await[0].token()).await;
    let enrolled = enrol(&auth, &ann.access_token).await.unwrap();
    let secret = TotpSecret::from_base32(&enrolled.secret).unwrap();
    confirm(&auth, &ann.access_token, &secret.code_at(auth.clock.now()))
        .await
        .unwrap();
    let token = auth.mails_to("ann@example.org", 3).await[2].token();
    let request = pb::UndoEmailChangeRequest { token };
    auth.client.clone().undo_email_change(request).await.unwrap();
    auth.login("ann@example.org", PASSWORD, "").await.unwrap();
}
