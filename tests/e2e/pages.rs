//! The pages that links in mails lead to, and `/`.

use http::Method;
use quartet_tests::mail::{RESET, VERIFY, token_of_link};
use quartet_tests::{App, on_every_topology};
use serde_json::json;

on_every_topology!(
    opening_a_link_changes_nothing_and_its_form_confirms_the_address,
    a_new_password_is_set_with_the_page,
    a_browser_gets_a_page_at_the_root,
);

async fn opening_a_link_changes_nothing_and_its_form_confirms_the_address(app: App) {
    let ada = app.register().await;
    let token = token_of_link(&app, &ada.email, VERIFY).await;
    let path = format!("/verify-email?token={token}");
    for _ in 0..2 {
        let page = app.get(&path).await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains(&format!("value=\"{token}\"")), "{}", page.text());
        app.call(Method::HEAD, &path).send().await.expect(200);
    }
    assert_eq!(ada.get("/api/v1/auth/me").await.expect(200)["email_verified"], false);

    let send = || {
        app.call(Method::POST, "/verify-email")
            .form(&[("token", &token)])
            .send()
    };
    let done = send().await;
    assert_eq!(done.status, 200);
    assert!(done.text().contains("The address is confirmed"), "{}", done.text());
    assert_eq!(ada.get("/api/v1/auth/me").await.expect(200)["email_verified"], true);
    let again = send().await;
    assert_eq!(
        (again.status, again.header("content-type")),
        (400, Some("text/html; charset=utf-8"))
    );
    assert!(
        again.text().contains("was used") && !again.text().contains("<form"),
        "{}",
        again.text()
    );
}

async fn a_new_password_is_set_with_the_page(app: App) {
    let ada = app.register().await;
    app.post("/api/v1/auth/password:request-reset", json!({"email": ada.email}))
        .await
        .expect(202);
    let token = token_of_link(&app, &ada.email, RESET).await;
    let send = |password: &'static str| {
        let form = [("token", token.as_str()), ("new_password", password)];
        app.call(Method::POST, "/reset-password")
            .header("accept-language", "ru")
            .form(&form)
            .send()
    };
    let short = send("short").await;
    assert_eq!(short.status, 422);
    assert!(
        short.text().contains("не меньше 8 символов") && short.text().contains("<form"),
        "{}",
        short.text()
    );
    assert!(!short.text().contains("value=\"short\""), "{}", short.text());
    assert_eq!(send("quite another sentence").await.status, 200);
    let login = |password: &str| {
        app.post(
            "/api/v1/auth/login",
            json!({"username_or_email": ada.username, "password": password}),
        )
    };
    login(&ada.password).await.problem(401, "invalid_credentials");
    login("quite another sentence").await.expect(200);
}

async fn a_browser_gets_a_page_at_the_root(app: App) {
    let page = app.call(Method::GET, "/").header("accept", "text/html").send().await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(page.text().contains("/api/v1/auth/register"));
    assert!(app.get("/").await.expect(200)["links"]["health"].is_string());
}
