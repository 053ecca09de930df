//! Registration.

use serde_json::json;

use quartet_tests::app::unique;
use quartet_tests::{App, on_every_topology};

on_every_topology!(
    a_new_user_is_created_signed_in_and_located,
    a_taken_name_and_a_taken_address_have_distinct_reasons,
    an_address_is_taken_whatever_its_case,
    a_weak_password_is_refused,
    every_broken_rule_is_reported_at_once,
    the_display_name_defaults_to_the_user_name,
);

async fn a_new_user_is_created_signed_in_and_located(app: App) {
    let name = unique("u");
    let body = json!({
        "name": "Ada",
        "username": name,
        "email": format!("{name}@example.org"),
        "password": "correct horse battery",
    });
    let reply = app.post("/api/v1/auth/register", body).await;
    let registered = reply.expect(201);
    let id = registered["user"]["id"].as_str().unwrap();
    assert_eq!(reply.header("location"), Some(format!("/api/v1/users/{id}").as_str()));
    assert_eq!(registered["user"]["username"], name.as_str());
    assert_eq!(registered["user"]["role"], "ROLE_USER");
    assert_eq!(registered["token_type"], "bearer");
    assert_eq!(registered["expires_in"], 900);
    assert!(!registered["refresh_token"].as_str().unwrap().is_empty());
    assert_eq!(registered.get("password"), None);

    let signed_in = app.with_token(registered["access_token"].as_str().unwrap());
    assert_eq!(signed_in.get("/api/v1/auth/me").await.expect(200)["id"], id);
    let user = signed_in.get(reply.header("location").unwrap()).await.expect(200);
    assert_eq!((&user["name"], &user["username"]), (&json!("Ada"), &json!(name)));
}

async fn a_taken_name_and_a_taken_address_have_distinct_reasons(app: App) {
    let ada = app.register().await;
    let other = unique("u");
    let body = json!({"username": ada.username, "email": format!("{other}@example.org"), "password": ada.password});
    app.post("/api/v1/auth/register", body)
        .await
        .problem(409, "username_taken");
    let body = json!({"username": other, "email": ada.email, "password": ada.password});
    app.post("/api/v1/auth/register", body)
        .await
        .problem(409, "email_taken");
}

async fn an_address_is_taken_whatever_its_case(app: App) {
    let ada = app.register().await;
    let body = json!({"username": unique("u"), "email": ada.email.to_uppercase(), "password": ada.password});
    app.post("/api/v1/auth/register", body)
        .await
        .problem(409, "email_taken");
}

async fn a_weak_password_is_refused(app: App) {
    let name = unique("u");
    for password in [
        "short",
        "password123",
        &name,
        &format!("{name}@example.org"),
        &"x".repeat(129),
    ] {
        let body = json!({"username": name, "email": format!("{name}@example.org"), "password": password});
        app.post("/api/v1/auth/register", body).await.invalid("password");
    }
}

async fn every_broken_rule_is_reported_at_once(app: App) {
    let body = json!({"name": "A", "username": "No Such", "email": "nowhere", "password": "x"});
    let problem = app.post("/api/v1/auth/register", body).await.invalid("username");
    let mut fields: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    fields.dedup();
    assert_eq!(fields, ["email", "name", "password", "username"]);
}

async fn the_display_name_defaults_to_the_user_name(app: App) {
    let name = unique("u");
    let body = json!({"username": name, "email": format!("{name}@example.org"), "password": "correct horse battery"});
    assert_eq!(
        app.post("/api/v1/auth/register", body).await.expect(201)["user"]["name"],
        name.as_str()
    );
}
