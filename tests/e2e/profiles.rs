//! Profiles.

use serde_json::{Value, json};

use quartet_tests::{App, Person, on_every_topology};

on_every_topology!(
    a_profile_is_created_updated_and_deleted,
    a_profile_is_written_by_its_owner_and_superusers_and_read_by_all,
    a_profile_has_rules,
);

fn path(person: &Person) -> String {
    format!("/api/v1/users/{}/profile", person.id)
}

async fn a_profile_is_created_updated_and_deleted(app: App) {
    let ada = app.register().await;
    ada.get(&path(&ada)).await.problem(404, "profile_not_found");
    let body = json!({"bio": "Counts", "avatar_url": "https://example.org/a.png"});
    let profile = ada.put(&path(&ada), body).await.expect(200);
    assert_eq!(
        (&profile["user_id"], &profile["bio"]),
        (&json!(ada.id), &json!("Counts"))
    );
    assert_eq!(ada.get(&path(&ada)).await.expect(200), profile);

    let patched = ada.patch(&path(&ada), json!({"bio": "Computes"})).await.expect(200);
    assert_eq!(
        (&patched["bio"], &patched["avatar_url"]),
        (&json!("Computes"), &profile["avatar_url"])
    );
    let cleared = ada.patch(&path(&ada), json!({"avatar_url": null})).await.expect(200);
    assert_eq!(
        (&cleared["bio"], &cleared["avatar_url"]),
        (&json!("Computes"), &Value::Null)
    );
    let put = ada.put(&path(&ada), json!({})).await.expect(200);
    assert_eq!((&put["bio"], &put["avatar_url"]), (&Value::Null, &Value::Null));
    ada.delete(&path(&ada)).await.expect(204);
    ada.get(&path(&ada)).await.problem(404, "profile_not_found");
    ada.delete(&path(&ada)).await.problem(404, "profile_not_found");
}

async fn a_profile_is_written_by_its_owner_and_superusers_and_read_by_all(app: App) {
    let (ada, eve, root) = (app.register().await, app.register().await, app.superuser().await);
    ada.put(&path(&ada), json!({"bio": "Counts"})).await.expect(200);
    assert_eq!(eve.get(&path(&ada)).await.expect(200)["bio"], "Counts");
    eve.put(&path(&ada), json!({"bio": "Hers"}))
        .await
        .problem(403, "not_your_user");
    eve.patch(&path(&ada), json!({"bio": "Hers"}))
        .await
        .problem(403, "not_your_user");
    eve.delete(&path(&ada)).await.problem(403, "not_your_user");
    assert_eq!(
        root.patch(&path(&ada), json!({"bio": "Ours"})).await.expect(200)["bio"],
        "Ours"
    );
    let nobody = "/api/v1/users/01890000-0000-7000-8000-000000000000/profile";
    root.put(nobody, json!({"bio": "x"}))
        .await
        .problem(404, "user_not_found");
}

async fn a_profile_has_rules(app: App) {
    let ada = app.register().await;
    ada.put(&path(&ada), json!({"bio": "я".repeat(250)})).await.expect(200);
    ada.put(&path(&ada), json!({"bio": "я".repeat(251)}))
        .await
        .invalid("bio");
    ada.put(&path(&ada), json!({"avatar_url": "nowhere"}))
        .await
        .invalid("avatar_url");
}
