//! The second factor, over REST and the OAuth 2.0 form.

use http::Method;
use quartet_auth::domain::TotpSecret;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use quartet_clock::Clock;
use quartet_tests::mail::{RESET, VERIFY, token_of_link};
use quartet_tests::{App, Person, on_every_topology};

on_every_topology!(
    a_login_takes_a_password_and_then_a_code,
    a_reset_of_the_password_leaves_the_second_factor,
    an_oauth_client_completes_a_login_with_a_code,
    a_code_renews_the_proof_and_the_factor_is_removed_with_it,
);

/// A user with a second factor, and their recovery codes. Their codes of this moment and of the one before
/// are used.
async fn enrolled(app: &App) -> (Person, TotpSecret, Vec<String>) {
    let ada = app.register().await;
    let reply = ada.post("/api/v1/auth/second-factor:enrol", json!({})).await;
    let enrolled = reply.expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(enrolled["qr_svg"].as_str().unwrap().starts_with("<svg "));
    let secret = TotpSecret::from_base32(enrolled["secret"].as_str().unwrap()).unwrap();
    let code = json!({"code": secret.code_at(now() - Duration::seconds(30))});
    let confirmed = ada.post("/api/v1/auth/second-factor:confirm", code).await.expect(200);
    let codes = confirmed["recovery_codes"].as_array().unwrap();
    let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    (ada, secret, codes)
}

fn now() -> OffsetDateTime {
    Clock::system().now()
}

async fn a_reset_of_the_password_leaves_the_second_factor(app: App) {
    let (ada, _, codes) = enrolled(&app).await;
    // Before its address is proven, an account may be of somebody else.
    let proof = json!({"token": token_of_link(&app, &ada.email, VERIFY).await});
    app.post("/api/v1/auth/email:verify", proof).await.expect(204);
    app.post("/api/v1/auth/password:request-reset", json!({"email": ada.email}))
        .await
        .expect(202);
    let reset = json!({
        "token": token_of_link(&app, &ada.email, RESET).await,
        "new_password": "quite another sentence",
    });
    app.post("/api/v1/auth/password:reset", reset).await.expect(204);
    let body = json!({"username_or_email": ada.username, "password": "quite another sentence"});
    let problem = app.post("/api/v1/auth/login", body).await.problem(401, "mfa_required");
    let complete = json!({"challenge": problem["challenge"], "code": codes[0]});
    let tokens = app.post("/api/v1/auth/login:complete", complete).await.expect(200);
    ada.with_tokens(&tokens).get("/api/v1/todos").await.expect(200);
}

async fn a_login_takes_a_password_and_then_a_code(app: App) {
    let (ada, secret, codes) = enrolled(&app).await;
    let shown = ada.get("/api/v1/auth/second-factor").await.expect(200);
    assert_eq!(
        (&shown["enabled"], &shown["recovery_codes_left"]),
        (&json!(true), &json!(10))
    );
    let body = json!({"username_or_email": ada.username, "password": ada.password});
    let problem = app.post("/api/v1/auth/login", body).await.problem(401, "mfa_required");
    let challenge = problem["challenge"].as_str().unwrap();
    let complete = |code: &str| {
        app.post(
            "/api/v1/auth/login:complete",
            json!({"challenge": challenge, "code": code}),
        )
    };
    complete("not a code").await.problem(403, "wrong_code");
    let tokens = complete(&secret.code_at(now())).await.expect(200);
    let again = ada.with_tokens(&tokens);
    assert_eq!(again.claims()["amr"], json!(["pwd", "otp", "mfa"]));
    again.get("/api/v1/todos").await.expect(200);
    complete(&codes[0]).await.expect(200);
    complete(&codes[0]).await.problem(403, "wrong_code");
    app.post(
        "/api/v1/auth/login:complete",
        json!({"challenge": "forged", "code": codes[1]}),
    )
    .await
    .problem(401, "invalid_challenge");
}

async fn an_oauth_client_completes_a_login_with_a_code(app: App) {
    let (ada, _, codes) = enrolled(&app).await;
    let token = |form: Vec<(&'static str, String)>| {
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        app.call(Method::POST, "/api/v1/auth/token").form(&form).send()
    };
    let refused = token(vec![
        ("grant_type", "password".into()),
        ("username", ada.username.clone()),
        ("password", ada.password.clone()),
    ])
    .await;
    let refused = refused.json();
    let challenge = ["mfa_token", "challenge"]
        .into_iter()
        .find_map(|name| refused[name].as_str())
        .unwrap_or_else(|| panic!("no challenge in {refused}"));
    let tokens = token(vec![
        ("grant_type", "urn:quartet:grant-type:mfa-otp".into()),
        ("mfa_token", challenge.to_owned()),
        ("otp", codes[2].clone()),
    ])
    .await
    .expect(200);
    ada.with_tokens(&tokens).get("/api/v1/todos").await.expect(200);
}

async fn a_code_renews_the_proof_and_the_factor_is_removed_with_it(app: App) {
    let (ada, secret, _) = enrolled(&app).await;
    let password = json!({"password": ada.password});
    let reply = ada.post("/api/v1/auth/reauthenticate", password).await;
    reply.problem(401, "insufficient_user_authentication");
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(
        challenge.ends_with(", acr_values=\"urn:quartet:acr:two-factors\""),
        "{challenge}"
    );
    let code = json!({"code": secret.code_at(now())});
    let proven = ada.post("/api/v1/auth/reauthenticate", code).await.expect(200);
    let proven = app.with_token(proven["access_token"].as_str().unwrap());
    proven.delete("/api/v1/auth/second-factor").await.expect(204);
    app.login(&ada).await.get("/api/v1/todos").await.expect(200);
}
