//! Roles and status of accounts, which superusers set.

use std::time::Duration;

use serde_json::json;

use quartet_tests::app::eventually;
use quartet_tests::{App, on_every_topology};

on_every_topology!(
    a_new_role_ends_the_sessions_of_the_old_one,
    a_disabled_account_cannot_sign_in_until_it_is_enabled,
    a_user_cannot_set_roles,
    an_unknown_account_is_not_found,
);

async fn a_new_role_ends_the_sessions_of_the_old_one(app: App) {
    let (root, ada) = (app.superuser().await, app.register().await);
    let path = format!("/api/v1/auth/accounts/{}/role", ada.id);
    let account = root.put(&path, json!({"role": "ROLE_SUPERUSER"})).await.expect(200);
    assert_eq!(account["role"], "ROLE_SUPERUSER");
    eventually(Duration::from_secs(1), "the old session has ended", async || {
        (ada.get("/api/v1/todos").await.status == 401).then_some(())
    })
    .await;
    let raised = app.login(&ada).await;
    assert_eq!(raised.claims()["role"], "superuser");
    assert_eq!(
        raised.get("/api/v1/users/me").await.expect(200)["role"],
        "ROLE_SUPERUSER"
    );
    root.put(&path, json!({"role": "ROLE_USER"})).await.expect(200);
    assert_eq!(app.login(&ada).await.claims()["role"], "user");
}

async fn a_disabled_account_cannot_sign_in_until_it_is_enabled(app: App) {
    let (root, ada) = (app.superuser().await, app.register().await);
    let path = format!("/api/v1/auth/accounts/{}/status", ada.id);
    let account = root
        .put(&path, json!({"status": "ACCOUNT_STATUS_DISABLED"}))
        .await
        .expect(200);
    assert_eq!(account["status"], "ACCOUNT_STATUS_DISABLED");
    eventually(Duration::from_secs(1), "the session has ended", async || {
        (ada.get("/api/v1/todos").await.status == 401).then_some(())
    })
    .await;
    let refused = app
        .post("/api/v1/auth/refresh", json!({"refresh_token": ada.refresh_token}))
        .await;
    assert_eq!(refused.status, 401, "{}", refused.text());
    let login = json!({"username_or_email": ada.username, "password": ada.password});
    let refused = app.post("/api/v1/auth/login", login).await;
    assert!(matches!(refused.status, 401 | 403), "{}", refused.text());
    root.put(&path, json!({"status": "ACCOUNT_STATUS_ACTIVE"}))
        .await
        .expect(200);
    app.login(&ada).await.get("/api/v1/todos").await.expect(200);
}

async fn a_user_cannot_set_roles(app: App) {
    let ada = app.register().await;
    let path = format!("/api/v1/auth/accounts/{}/role", ada.id);
    ada.put(&path, json!({"role": "ROLE_SUPERUSER"}))
        .await
        .problem(403, "permission_denied");
    assert_eq!(ada.get("/api/v1/auth/me").await.expect(200)["role"], "ROLE_USER");
}

async fn an_unknown_account_is_not_found(app: App) {
    let root = app.superuser().await;
    let path = "/api/v1/auth/accounts/01890000-0000-7000-8000-000000000000/role";
    root.put(path, json!({"role": "ROLE_USER"}))
        .await
        .problem(404, "account_not_found");
}
