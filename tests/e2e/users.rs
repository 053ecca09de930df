//! Users.

use std::time::Duration;

use serde_json::{Value, json};

use quartet_tests::app::{eventually, unique};
use quartet_tests::{App, mail, on_every_topology, on_secured_topology};

on_every_topology!(
    users_are_found_by_id_by_name_and_as_oneself,
    an_address_is_visible_to_its_owner_and_to_superusers_only,
    users_are_listed_in_pages_the_newest_first,
    a_user_changes_their_own_fields_and_nobody_elses,
    a_new_name_is_valid_at_the_next_login_and_a_new_address_once_it_is_verified,
    a_taken_name_or_address_changes_nothing,
    a_picture_is_a_web_address,
    a_superuser_makes_a_user_who_signs_in,
    superusers_find_users_by_name_and_address,
    a_put_writes_all_fields_of_a_user,
    a_deleted_user_is_gone_and_cannot_sign_in_until_restored,
    a_superuser_purges_a_user_for_good,
    deleted_users_are_listed_for_superusers,
);

on_secured_topology!(
    a_new_name_is_valid_at_the_next_login_and_a_new_address_once_it_is_verified,
    a_deleted_user_is_gone_and_cannot_sign_in_until_restored,
);

fn path(person: &quartet_tests::Person) -> String {
    format!("/api/v1/users/{}", person.id)
}

async fn users_are_found_by_id_by_name_and_as_oneself(app: App) {
    let ada = app.register().await;
    let me = ada.get("/api/v1/users/me").await.expect(200);
    assert_eq!((&me["id"], &me["username"]), (&json!(ada.id), &json!(ada.username)));
    assert_eq!((&me["role"], &me["tier"]), (&json!("ROLE_USER"), &Value::Null));
    assert_eq!(
        (&me["email"], &me["profile_image_url"]),
        (&json!(ada.email), &json!(""))
    );
    for time in ["created_at", "updated_at"] {
        assert!(me[time].as_str().unwrap().ends_with('Z'), "{time}");
    }
    assert_eq!(ada.get(&path(&ada)).await.expect(200), me);
    assert_eq!(
        ada.get(&format!("/api/v1/users/by-username/{}", ada.username))
            .await
            .expect(200),
        me
    );
    ada.get("/api/v1/users/01890000-0000-7000-8000-000000000000")
        .await
        .problem(404, "user_not_found");
    ada.get("/api/v1/users/by-username/nobodyofthatname")
        .await
        .problem(404, "user_not_found");
}

async fn an_address_is_visible_to_its_owner_and_to_superusers_only(app: App) {
    let (ada, eve, root) = (app.register().await, app.register().await, app.superuser().await);
    assert_eq!(ada.get(&path(&ada)).await.expect(200)["email"], ada.email.as_str());
    assert_eq!(root.get(&path(&ada)).await.expect(200)["email"], ada.email.as_str());
    assert_eq!(eve.get(&path(&ada)).await.expect(200)["email"], Value::Null);
    let listed = eve.get("/api/v1/users?page_size=100").await.expect(200);
    for user in listed["data"].as_array().unwrap() {
        assert!(user["email"].is_null() || user["id"] == eve.id.as_str(), "{user}");
    }
}

async fn users_are_listed_in_pages_the_newest_first(app: App) {
    let first = app.register().await;
    let mut created = Vec::new();
    for _ in 0..4 {
        created.push(app.register().await.id);
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    while !created.iter().all(|id| seen.contains(id)) {
        let page = first
            .get(&format!("/api/v1/users?page_size=2&page_token={token}"))
            .await
            .expect(200);
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|user| user["id"].as_str().unwrap().to_owned()),
        );
        token = page["next_page_token"].as_str().unwrap().to_owned();
        assert!(!token.is_empty(), "{created:?} in {seen:?}");
    }
    seen.retain(|id| created.contains(id));
    created.reverse();
    assert_eq!(seen, created);
}

async fn a_user_changes_their_own_fields_and_nobody_elses(app: App) {
    let (ada, eve, root) = (app.register().await, app.register().await, app.superuser().await);
    let changed = ada.patch(&path(&ada), json!({"name": "Ada L."})).await.expect(200);
    assert_eq!(
        (&changed["name"], &changed["username"]),
        (&json!("Ada L."), &json!(ada.username))
    );
    eve.patch(&path(&ada), json!({"name": "Eve"}))
        .await
        .problem(403, "not_your_user");
    eve.delete(&path(&ada)).await.problem(403, "not_your_user");
    assert_eq!(
        root.patch(&path(&ada), json!({"name": "Countess"})).await.expect(200)["name"],
        "Countess"
    );
    ada.patch(&path(&ada), json!({"role": "ROLE_SUPERUSER"}))
        .await
        .invalid("role");
}

async fn a_new_name_is_valid_at_the_next_login_and_a_new_address_once_it_is_verified(app: App) {
    let ada = app.register().await;
    let (username, email) = (unique("n"), format!("{}@example.org", unique("n")));
    let changed = ada
        .patch(&path(&ada), json!({"username": username, "email": email}))
        .await
        .expect(200);
    assert_eq!(
        (&changed["username"], &changed["email"]),
        (&json!(username), &json!(ada.email))
    );
    assert_eq!(changed["pending_email"], email.as_str());
    assert_eq!(
        ada.get("/api/v1/auth/me").await.expect(200)["pending_email"],
        email.as_str()
    );
    let login = json!({"username_or_email": ada.email, "password": ada.password});
    app.post("/api/v1/auth/login", login).await.expect(200);
    let login = json!({"username_or_email": email, "password": ada.password});
    app.post("/api/v1/auth/login", login)
        .await
        .problem(401, "invalid_credentials");
    let token = mail::token_of_link(&app, &email, mail::VERIFY).await;
    app.post("/api/v1/auth/email:verify", json!({"token": token}))
        .await
        .expect(204);
    assert_eq!(ada.get("/api/v1/users/me").await.expect(200)["email"], email.as_str());
    for name in [&username, &email] {
        let login = json!({"username_or_email": name, "password": ada.password});
        app.post("/api/v1/auth/login", login).await.expect(200);
    }
    let old = json!({"username_or_email": ada.username, "password": ada.password});
    app.post("/api/v1/auth/login", old)
        .await
        .problem(401, "invalid_credentials");
    let account = ada.get("/api/v1/auth/me").await.expect(200);
    assert_eq!(
        (&account["email"], &account["email_verified"]),
        (&json!(email), &json!(true))
    );
}

async fn a_taken_name_or_address_changes_nothing(app: App) {
    let (ada, eve) = (app.register().await, app.register().await);
    let before = eve.get("/api/v1/users/me").await.expect(200);
    eve.patch(&path(&eve), json!({"username": ada.username, "name": "Changed"}))
        .await
        .problem(409, "username_taken");
    eve.patch(&path(&eve), json!({"email": ada.email, "name": "Changed"}))
        .await
        .problem(409, "email_taken");
    assert_eq!(eve.get("/api/v1/users/me").await.expect(200), before);
}

async fn a_picture_is_a_web_address(app: App) {
    let ada = app.register().await;
    for wrong in [
        "javascript:alert(1)",
        "nowhere",
        "ftp://example.org/a.png",
        "https://",
        "//example.org/a.png",
    ] {
        ada.patch(&path(&ada), json!({"profile_image_url": wrong}))
            .await
            .invalid("profile_image_url");
    }
    let url = "https://example.org/a.png?size=2";
    assert_eq!(
        ada.patch(&path(&ada), json!({"profile_image_url": url}))
            .await
            .expect(200)["profile_image_url"],
        url
    );
    assert_eq!(
        ada.patch(&path(&ada), json!({"profile_image_url": null}))
            .await
            .expect(200)["profile_image_url"],
        ""
    );
}

async fn a_deleted_user_is_gone_and_cannot_sign_in_until_restored(app: App) {
    let (root, ada, eve) = (app.superuser().await, app.register().await, app.register().await);
    ada.delete(&path(&ada)).await.expect(204);
    eventually(Duration::from_secs(1), "the token counts no more", async || {
        (ada.get("/api/v1/users/me").await.status == 401).then_some(())
    })
    .await;
    eve.get(&path(&ada)).await.problem(404, "user_not_found");
    let login = json!({"username_or_email": ada.username, "password": ada.password});
    assert!(matches!(app.post("/api/v1/auth/login", login).await.status, 401 | 403));
    // The name stays theirs.
    let again =
        json!({"username": ada.username, "email": format!("{}@example.org", unique("a")), "password": ada.password});
    app.post("/api/v1/auth/register", again)
        .await
        .problem(409, "username_taken");

    eve.post(&format!("{}:restore", path(&ada)), json!({}))
        .await
        .problem(403, "permission_denied");
    let restored = root
        .post(&format!("{}:restore", path(&ada)), json!({}))
        .await
        .expect(200);
    assert_eq!(restored["deleted_at"], Value::Null);
    app.login(&ada).await.get("/api/v1/users/me").await.expect(200);
    root.post(&format!("{}:restore", path(&ada)), json!({}))
        .await
        .problem(404, "user_not_found");
}

async fn a_superuser_purges_a_user_for_good(app: App) {
    let (root, ada) = (app.superuser().await, app.register().await);
    ada.delete(&format!("{}:purge", path(&ada)))
        .await
        .problem(403, "permission_denied");
    root.delete(&format!("{}:purge", path(&ada))).await.expect(204);
    root.get(&path(&ada)).await.problem(404, "user_not_found");
    root.delete(&format!("{}:purge", path(&ada)))
        .await
        .problem(404, "user_not_found");
    let login = json!({"username_or_email": ada.username, "password": ada.password});
    app.post("/api/v1/auth/login", login)
        .await
        .problem(401, "invalid_credentials");
    // The name is free again.
    let again = json!({"username": ada.username, "email": ada.email, "password": ada.password});
    app.post("/api/v1/auth/register", again).await.expect(201);
}

async fn deleted_users_are_listed_for_superusers(app: App) {
    let (root, ada, eve) = (app.superuser().await, app.register().await, app.register().await);
    ada.delete(&path(&ada)).await.expect(204);
    let listed = root.get("/api/v1/users?deleted=true&page_size=100").await.expect(200);
    let found = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["id"] == ada.id.as_str())
        .expect("is listed")
        .clone();
    assert!(found["deleted_at"].is_string());
    let refused = eve.get("/api/v1/users?deleted=true").await;
    assert!(
        refused.status == 403 || refused.json()["total_count"] == 0,
        "{}",
        refused.text()
    );
}

async fn a_superuser_makes_a_user_who_signs_in(app: App) {
    let (root, ada) = (app.superuser().await, app.register().await);
    let name = unique("m");
    let body = json!({"name": "Grace H", "username": name, "email": format!("{name}@example.org"),
        "password": "a sentence that is long enough"});
    let reply = root.post("/api/v1/users", body.clone()).await;
    let made = reply.expect(201);
    assert_eq!(
        (&made["name"], &made["username"], &made["role"]),
        (&json!("Grace H"), &json!(name), &json!("ROLE_USER"))
    );
    let path = format!("/api/v1/users/{}", made["id"].as_str().unwrap());
    assert_eq!(reply.header("location"), Some(path.as_str()));
    assert_eq!(root.get(&path).await.expect(200)["name"], "Grace H");
    let login = json!({"username": name, "password": "a sentence that is long enough"});
    app.post("/api/v1/auth/login", login).await.expect(200);
    mail::token_of_link(&app, &format!("{name}@example.org"), mail::VERIFY).await;

    root.post("/api/v1/users", body.clone())
        .await
        .problem(409, "username_taken");
    let mut other = body.clone();
    other["username"] = json!(unique("m"));
    root.post("/api/v1/users", other.clone())
        .await
        .problem(409, "email_taken");
    other["email"] = json!("not an address");
    other["password"] = json!("short");
    let problem = root
        .post("/api/v1/users", other)
        .await
        .problem(422, "validation_failed");
    let fields: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["field"])
        .collect();
    assert_eq!(fields, ["email", "password"], "{problem}");
    ada.post("/api/v1/users", body).await.problem(403, "permission_denied");
}

async fn superusers_find_users_by_name_and_address(app: App) {
    let (root, ada, eve) = (app.superuser().await, app.register().await, app.register().await);
    let found = async |query: String| {
        let page = root.get(&format!("/api/v1/users?{query}")).await.expect(200);
        let ids: Vec<_> = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["id"].clone())
            .collect();
        assert_eq!(page["total_count"], ids.len());
        ids
    };
    assert_eq!(
        found(format!("name={}", ada.username.to_uppercase())).await,
        [json!(ada.id)]
    );
    assert_eq!(
        found(format!("email={}", eve.email.to_uppercase())).await,
        [json!(eve.id)]
    );
    assert_eq!(
        found(format!("name={}&email={}", ada.username, eve.email)).await,
        Vec::<Value>::new()
    );
    for query in ["name=a", "email=a"] {
        ada.get(&format!("/api/v1/users?{query}"))
            .await
            .problem(403, "permission_denied");
    }
}

async fn a_put_writes_all_fields_of_a_user(app: App) {
    let (ada, eve) = (app.register().await, app.register().await);
    ada.patch(&path(&ada), json!({"profile_image_url": "https://example.org/a.png"}))
        .await
        .expect(200);
    let all = json!({"name": "Countess", "username": ada.username, "email": ada.email});
    for path in [path(&ada), "/api/v1/users/me".to_owned()] {
        let put = ada.put(&path, all.clone()).await.expect(200);
        assert_eq!(
            (&put["name"], &put["profile_image_url"]),
            (&json!("Countess"), &json!(""))
        );
    }
    ada.put(&path(&ada), json!({"name": "Countess"}))
        .await
        .problem(422, "validation_failed");
    eve.put(&path(&ada), all).await.problem(403, "not_your_user");
}
