//! A fresh proof of who calls, for what cannot be undone.

use std::time::Duration;

use quartet_proto::users::v1::DeleteUserRequest;
use quartet_proto::users::v1::user_service_client::UserServiceClient;
use serde_json::json;
use tonic::Code;

use quartet_tests::app::{eventually, unique};
use quartet_tests::grpc::reason;
use quartet_tests::mail::{UNDO, VERIFY, token_of_link};
use quartet_tests::{App, Person, on_every_topology};

on_every_topology!(
    a_token_says_when_and_how_its_user_proved_who_they_are,
    the_old_address_takes_the_account_back,
);

/// Waits until the proof of `person` is too old, without changing anything.
async fn grow_stale(person: &Person) {
    let nothing = format!("/api/v1/auth/sessions/{}", person.id);
    eventually(Duration::from_secs(20), "the proof is too old", async || {
        (person.delete(&nothing).await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stolen_token_alone_does_not_take_the_account() {
    let app = App::own(&[("REAUTH_WINDOW", "2s")]);
    let ada = app.register().await;
    grow_stale(&ada).await;
    let email = json!({"email": format!("{}@example.org", unique("eve"))});
    let refused = ada.patch("/api/v1/users/me", email.clone()).await;
    refused.problem(401, "insufficient_user_authentication");
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(
        challenge.starts_with("Bearer error=\"insufficient_user_authentication\", ")
            && challenge.ends_with(", max_age=\"2\""),
        "{challenge}"
    );
    let webhook = json!({"url": "https://example.org/hook"});
    for reply in [
        ada.delete("/api/v1/users/me").await,
        ada.post("/api/v1/webhooks", webhook).await,
        ada.post("/api/v1/auth/logout-all", json!({})).await,
    ] {
        reply.problem(401, "insufficient_user_authentication");
    }
    let mut users = UserServiceClient::new(app.channel("users").await);
    let request = DeleteUserRequest {
        user_id: ada.id.clone(),
        ..Default::default()
    };
    let refused = users.delete_user(ada.request(request)).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Unauthenticated, "INSUFFICIENT_USER_AUTHENTICATION")
    );
    // Nothing else demands it, nor does the address that the account has.
    ada.patch("/api/v1/users/me", json!({"name": "Ada Lovelace", "email": ada.email}))
        .await
        .expect(200);

    let wrong = json!({"password": "not the password"});
    ada.post("/api/v1/auth/reauthenticate", wrong)
        .await
        .problem(403, "wrong_password");
    eventually(Duration::from_secs(60), "a fresh proof is enough", async || {
        let proof = json!({"password": ada.password});
        let proven = ada.post("/api/v1/auth/reauthenticate", proof).await.expect(200);
        let proven = app.with_token(proven["access_token"].as_str().unwrap());
        (proven.patch("/api/v1/users/me", email.clone()).await.status == 200).then_some(())
    })
    .await;
}

async fn a_token_says_when_and_how_its_user_proved_who_they_are(app: App) {
    let ada = app.register().await;
    let claims = ada.claims();
    assert_eq!(claims["amr"], json!(["pwd"]));
    assert_eq!(claims["acr"], "urn:quartet:acr:password");
    let body = json!({"refresh_token": ada.refresh_token});
    let next = ada.with_tokens(&app.post("/api/v1/auth/refresh", body).await.expect(200));
    assert_eq!(next.claims()["auth_time"], claims["auth_time"]);
    let proof = json!({"password": ada.password});
    let proven = next.post("/api/v1/auth/reauthenticate", proof).await.expect(200);
    let proven = quartet_tests::person::claims(proven["access_token"].as_str().unwrap());
    assert!(proven["auth_time"].as_i64() >= claims["auth_time"].as_i64());
    assert_eq!(proven["sid"], claims["sid"]);
}

async fn the_old_address_takes_the_account_back(app: App) {
    let ada = app.register().await;
    let verify = async |address: &str| {
        let token = token_of_link(&app, address, VERIFY).await;
        let body = json!({"token": token});
        app.post("/api/v1/auth/email:verify", body).await.expect(204);
    };
    verify(&ada.email).await;
    let new = format!("{}@example.org", unique("eve"));
    ada.patch("/api/v1/users/me", json!({"email": new})).await.expect(200);
    verify(&new).await;
    assert_eq!(ada.get("/api/v1/auth/me").await.expect(200)["email"], new.as_str());

    let token = token_of_link(&app, &ada.email, UNDO).await;
    let page = app.get(&format!("/undo-email-change?token={token}")).await;
    assert!(page.text().contains("Undo the change"), "{}", page.text());
    let body = json!({"token": token});
    app.post("/api/v1/auth/email:undo-change", body.clone())
        .await
        .expect(204);
    app.post("/api/v1/auth/email:undo-change", body)
        .await
        .problem(400, "invalid_undo_token");
    eventually(Duration::from_secs(1), "every session has ended", async || {
        (ada.get("/api/v1/todos").await.status == 401).then_some(())
    })
    .await;
    let body = json!({"username_or_email": ada.email, "password": ada.password});
    let back = ada.with_tokens(&app.post("/api/v1/auth/login", body).await.expect(200));
    let account = back.get("/api/v1/auth/me").await.expect(200);
    assert_eq!(
        (&account["email"], &account["email_verified"]),
        (&json!(ada.email), &json!(true))
    );
    let shown = back.get("/api/v1/users/me").await.expect(200);
    assert_eq!(shown["email"], ada.email.as_str());
}
