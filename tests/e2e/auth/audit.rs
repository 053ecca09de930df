//! The audit trail, over REST and in the logs.

use std::time::Duration;

use quartet_auth::domain::TotpSecret;
use quartet_clock::Clock;
use serde_json::{Value, json};

use quartet_tests::app::eventually;
use quartet_tests::{App, on_both_topologies, on_every_topology};

on_every_topology!(
    a_user_reads_their_own_trail_and_a_superuser_everybodys,
    a_superuser_ends_the_sessions_of_somebody,
);

mod with_logs {
    use super::*;

    on_both_topologies!(
        no_secret_is_in_the_trail_or_in_the_logs,
        changes_of_webhooks_and_refusals_are_security_events,
    );

    async fn changes_of_webhooks_and_refusals_are_security_events(app: App) {
        super::changes_of_webhooks_and_refusals_are_security_events(app).await;
    }

    async fn no_secret_is_in_the_trail_or_in_the_logs(app: App) {
        super::no_secret_is_in_the_trail_or_in_the_logs(app).await;
    }
}

async fn a_user_reads_their_own_trail_and_a_superuser_everybodys(app: App) {
    let (ada, eve, root) = (app.register().await, app.register().await, app.superuser().await);
    let wrong = json!({"username_or_email": ada.username, "password": "not the password"});
    app.call(http::Method::POST, "/api/v1/auth/login")
        .header("x-request-id", "audited-1")
        .json(&wrong)
        .send()
        .await
        .problem(401, "invalid_credentials");
    let trail = ada.get("/api/v1/auth/events?type=authn_login_fail").await.expect(200);
    let event = &trail["data"][0];
    assert_eq!(event["account_id"], ada.id.as_str());
    assert_eq!(event["client_address"], app.own_address().await.as_str());
    assert_eq!(
        (&event["request_id"], &event["actor"]),
        (&json!("audited-1"), &json!(""))
    );
    assert_eq!(event["trace_id"].as_str().unwrap().len(), 32, "{event}");
    let path = format!("/api/v1/auth/events?account={}&type=user_created", ada.id);
    eve.get(&path).await.problem(403, "not_your_user");
    assert_eq!(root.get(&path).await.expect(200)["data"].as_array().unwrap().len(), 1);
    let page = root.get("/api/v1/auth/events?account=*&page_size=2").await.expect(200);
    assert_eq!(
        (page["data"].as_array().unwrap().len(), &page["has_more"]),
        (2, &json!(true))
    );
    let path = format!("/api/v1/auth/accounts/{}/role", ada.id);
    let denied = ada.put(&path, json!({"role": "ROLE_SUPERUSER"})).await;
    denied.problem(403, "permission_denied");
}

async fn a_superuser_ends_the_sessions_of_somebody(app: App) {
    let (ada, root) = (app.register().await, app.superuser().await);
    let path = format!("/api/v1/auth/accounts/{}/sessions", ada.id);
    ada.delete(&path).await.problem(403, "permission_denied");
    root.delete(&path).await.expect(204);
    eventually(Duration::from_secs(1), "the session has ended", async || {
        (ada.get("/api/v1/todos").await.status == 401).then_some(())
    })
    .await;
    let again = app.login(&ada).await;
    let trail = again.get("/api/v1/auth/events").await.expect(200);
    assert_eq!(trail["data"][1]["type"], "authn_token_revoked", "{trail}");
    assert_eq!(trail["data"][1]["actor"], root.id.as_str());
}

/// Changes of webhooks, and what somebody may not do, are events in the log.
async fn changes_of_webhooks_and_refusals_are_security_events(app: App) {
    let ada = app.register().await;
    let made = ada
        .post("/api/v1/webhooks", json!({"url": "https://example.org/hook"}))
        .await;
    let path = format!("/api/v1/webhooks/{}", made.expect(201)["id"].as_str().unwrap());
    ada.patch(&path, json!({"enabled": false})).await.expect(200);
    ada.delete(&path).await.expect(204);
    ada.get("/api/v1/schedules").await.problem(403, "permission_denied");
    let kinds = ["sensitive_create", "sensitive_update", "sensitive_delete", "authz_fail"];
    eventually(Duration::from_secs(20), "all of them are in the log", async || {
        let logs = app.suite().logs();
        let mut lines = logs
            .lines()
            .filter(|line| line.contains("quartet::security") && line.contains(&ada.id));
        let found: Vec<&str> = lines.by_ref().collect();
        let has = |kind: &&str| found.iter().any(|line| line.contains(*kind));
        kinds.iter().all(has).then_some(())
    })
    .await;
}

/// Every secret that a user handles is a canary: none of them is in the trail, nor in a log.
async fn no_secret_is_in_the_trail_or_in_the_logs(app: App) {
    let mut ada = app.register().await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut canaries = vec![
        "a canary of a wrong password".to_owned(),
        "a canary of another password".to_owned(),
    ];
    let wrong = json!({"username_or_email": ada.username, "password": canaries[0]});
    app.post("/api/v1/auth/login", wrong)
        .await
        .problem(401, "invalid_credentials");
    let change = json!({"current_password": ada.password, "new_password": canaries[1]});
    ada.post("/api/v1/auth/password:change", change).await.expect(204);
    ada.password = canaries[1].clone();
    let enrolled = ada
        .post("/api/v1/auth/second-factor:enrol", json!({}))
        .await
        .expect(200);
    let secret = TotpSecret::from_base32(enrolled["secret"].as_str().unwrap()).unwrap();
    canaries.push(text(&enrolled["secret"]));
    let code = json!({"code": secret.code_at(Clock::system().now())});
    let confirmed = ada.post("/api/v1/auth/second-factor:confirm", code).await.expect(200);
    let codes = confirmed["recovery_codes"].as_array().unwrap();
    canaries.extend(codes.iter().map(text));
    canaries.push(text(&confirmed["access_token"]));
    let body = json!({"username_or_email": ada.username, "password": ada.password});
    let refused = app.post("/api/v1/auth/login", body).await.problem(401, "mfa_required");
    canaries.push(text(&refused["challenge"]));
    let wrong = json!({"challenge": refused["challenge"], "code": "a canary of a wrong code"});
    app.post("/api/v1/auth/login:complete", wrong)
        .await
        .problem(403, "wrong_code");
    canaries.push("a canary of a wrong code".to_owned());
    let right = json!({"challenge": refused["challenge"], "code": codes[0]});
    let tokens = app.post("/api/v1/auth/login:complete", right).await.expect(200);
    canaries.extend(["access_token", "refresh_token", "device_token"].map(|name| text(&tokens[name])));
    canaries.extend([ada.access_token.clone(), ada.refresh_token.clone()]);
    let proof = json!({"code": codes[1]});
    ada.post("/api/v1/auth/reauthenticate", proof).await.expect(200);
    ada.post("/api/v1/auth/logout", json!({})).await.expect(204);

    let signed_in = app.with_token(tokens["access_token"].as_str().unwrap());
    let trail = signed_in.get("/api/v1/auth/events?page_size=100").await;
    let events = trail.expect(200)["data"].as_array().unwrap().clone();
    assert!(events.len() >= 8, "{events:?}");
    let logs = app.suite().logs();
    let lines: Vec<_> = logs.lines().filter(|line| line.contains("quartet::security")).collect();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("authn_password_change") && line.contains(&ada.id)),
        "{lines:?}"
    );
    for canary in &canaries {
        assert!(!trail.text().contains(canary), "{canary} is in the trail");
        assert!(!logs.contains(canary), "{canary} is in a log");
    }
}
