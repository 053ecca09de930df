//! Mails with a token: password reset and verification of the address.

use std::time::Duration;

use serde_json::json;

use quartet_tests::app::{eventually, unique};
use quartet_tests::{App, mail, on_every_topology};

on_every_topology!(
    a_forgotten_password_is_reset_with_the_mail,
    an_unknown_address_gets_the_same_answer_and_no_mail,
    an_address_is_verified_with_the_mail,
    a_token_that_was_not_sent_is_refused,
);

async fn a_forgotten_password_is_reset_with_the_mail(app: App) {
    let ada = app.register().await;
    app.post("/api/v1/auth/password:request-reset", json!({"email": ada.email}))
        .await
        .expect(202);
    let token = mail::token_of_link(&app, &ada.email, mail::RESET).await;

    let reset = |password: &str| {
        app.post(
            "/api/v1/auth/password:reset",
            json!({"token": token, "new_password": password}),
        )
    };
    reset("password").await.invalid("new_password");
    reset("a better horse battery").await.expect(204);
    reset("yet another horse battery")
        .await
        .problem(400, "invalid_reset_token");

    eventually(Duration::from_secs(1), "every session has ended", async || {
        (ada.get("/api/v1/todos").await.status == 401).then_some(())
    })
    .await;
    let login = |password: &str| {
        app.post(
            "/api/v1/auth/login",
            json!({"username_or_email": ada.email, "password": password}),
        )
    };
    login(&ada.password).await.problem(401, "invalid_credentials");
    login("a better horse battery").await.expect(200);
}

async fn an_unknown_address_gets_the_same_answer_and_no_mail(app: App) {
    let address = format!("{}@example.org", unique("nobody"));
    app.post("/api/v1/auth/password:request-reset", json!({"email": address}))
        .await
        .expect(202);
    // Mails are requested in order, and several workers send them at once: once two later ones are
    // sent, one after the other, this one would be as well.
    for _ in 0..2 {
        let ada = app.register().await;
        app.post("/api/v1/auth/password:request-reset", json!({"email": ada.email}))
            .await
            .expect(202);
        mail::token_of_link(&app, &ada.email, mail::RESET).await;
    }
    assert!(!mail::was_mailed(&app, &address));
}

async fn an_address_is_verified_with_the_mail(app: App) {
    let ada = app.register().await;
    assert_eq!(ada.get("/api/v1/auth/me").await.expect(200)["email_verified"], false);
    ada.post("/api/v1/auth/email:request-verification", json!({}))
        .await
        .expect(202);
    let token = mail::token_of_link(&app, &ada.email, mail::VERIFY).await;
    app.post("/api/v1/auth/email:verify", json!({"token": token}))
        .await
        .expect(204);
    assert_eq!(ada.get("/api/v1/auth/me").await.expect(200)["email_verified"], true);
    app.post("/api/v1/auth/email:verify", json!({"token": token}))
        .await
        .problem(400, "invalid_verification_token");
    ada.post("/api/v1/auth/email:request-verification", json!({}))
        .await
        .problem(400, "email_already_verified");
}

async fn a_token_that_was_not_sent_is_refused(app: App) {
    for token in ["x", "\u{1F511}", &"x".repeat(512)] {
        app.post("/api/v1/auth/email:verify", json!({"token": token}))
            .await
            .problem(400, "invalid_verification_token");
        let reset = json!({"token": token, "new_password": "a better horse battery"});
        app.post("/api/v1/auth/password:reset", reset)
            .await
            .problem(400, "invalid_reset_token");
    }
}
