//! Accounts, sessions and tokens.

use serde_json::{Value as Json, json};

use super::scenarios;
use crate::cluster::{Cluster, Person, text};

scenarios! {
    "AuthService/Register": |cluster| {
        let username = cluster.name();
        let email = format!("{username}@example.org");
        (None, json!({"username": username, "email": email, "password": Person::PASSWORD}))
    };
    "AuthService/Login": |cluster| {
        let person = cluster.person().await;
        (None, json!({"username_or_email": person.username, "password": Person::PASSWORD}))
    };
    "AuthService/Login, by address": |cluster| {
        let person = cluster.person().await;
        (None, json!({"username_or_email": person.email(), "password": Person::PASSWORD}))
    };
    "AuthService/Token": |cluster| {
        let person = cluster.person().await;
        let message = json!({
            "grant_type": "password",
            "username": person.username,
            "password": Person::PASSWORD,
        });
        (None, message)
    };
    "AuthService/Refresh": |cluster| {
        let person = cluster.person().await;
        (None, json!({"refresh_token": person.refresh_token}))
    };
    "AuthService/Logout": |cluster| (cluster.person().await.token, json!({}));
    "AuthService/LogoutAll": |cluster| {
        let person = cluster.person().await;
        login(cluster, &person).await;
        (person.token, json!({}))
    };
    "AuthService/ListSessions": |cluster| {
        let person = cluster.person().await;
        login(cluster, &person).await;
        (person.token, json!({}))
    };
    "AuthService/RevokeSession": |cluster| {
        let person = cluster.person().await;
        login(cluster, &person).await;
        let sessions = cluster.call("AuthService/ListSessions", &person.token, json!({})).await;
        let sessions = sessions["data"].as_array().expect("a list").clone();
        let other = sessions.iter().find(|session| session["current"] == false).expect("another session");
        (person.token, json!({"session_id": other["id"]}))
    };
    "AuthService/ChangePassword": |cluster| {
        let person = cluster.person().await;
        let message = json!({"current_password": Person::PASSWORD, "new_password": "staple correct horse"});
        (person.token, message)
    };
    "AuthService/RequestPasswordReset": |cluster| {
        let person = cluster.person().await;
        (None, json!({"email": person.email()}))
    };
    "AuthService/ResetPassword": |cluster| {
        let person = cluster.person().await;
        let token = issue(cluster, &person, "MAIL_PURPOSE_PASSWORD_RESET").await;
        (None, json!({"token": token, "new_password": "staple correct horse"}))
    };
    "AuthService/RequestEmailVerification": |cluster| (cluster.person().await.token, json!({}));
    "AuthService/VerifyEmail": |cluster| {
        let person = cluster.person().await;
        let token = issue(cluster, &person, "MAIL_PURPOSE_EMAIL_VERIFICATION").await;
        (None, json!({"token": token}))
    };
    "AuthService/GetMe": |cluster| (cluster.person().await.token, json!({}));
    "AuthService/SetRole": |cluster| {
        let person = cluster.person().await;
        (cluster.superuser.clone(), json!({"account_id": person.id, "role": "ROLE_SUPERUSER"}))
    };
    "AuthService/SetStatus": |cluster| {
        let person = cluster.person().await;
        let message = json!({"account_id": person.id, "status": "ACCOUNT_STATUS_DISABLED"});
        (cluster.superuser.clone(), message)
    };
    "AuthService/GetJwks": |_cluster| (None, json!({}));
    "AuthService/WatchRevocations": |cluster| (cluster.service.clone(), json!({}));
    "AuthService/UpdateAccount": |cluster| {
        let person = cluster.person().await;
        (cluster.service.clone(), json!({"account_id": person.id, "username": cluster.name()}))
    };
    "AuthService/UpdateAccount, address": |cluster| {
        let person = cluster.person().await;
        let email = format!("{}@example.org", cluster.name());
        (cluster.service.clone(), json!({"account_id": person.id, "email": email}))
    };
    "AuthService/CloseAccount": |cluster| {
        let person = cluster.person().await;
        (cluster.service.clone(), json!({"account_id": person.id}))
    };
    "AuthService/ReopenAccount": |cluster| {
        let person = cluster.person().await;
        let account = json!({"account_id": person.id});
        cluster.call("AuthService/CloseAccount", &cluster.service, account.clone()).await;
        (cluster.service.clone(), account)
    };
    "AuthService/PurgeAccount": |cluster| {
        let person = cluster.person().await;
        (cluster.service.clone(), json!({"account_id": person.id}))
    };
    "ContactService/GetContact": |cluster| {
        let person = cluster.person().await;
        (cluster.service.clone(), json!({"account_id": person.id}))
    };
    "MailService/IssueMail": |cluster| {
        let person = cluster.person().await;
        (cluster.service.clone(), mail(cluster, &person, "MAIL_PURPOSE_PASSWORD_RESET"))
    };
}

/// Signs in once more.
async fn login(cluster: &Cluster, person: &Person) {
    let message = json!({"username_or_email": person.username, "password": Person::PASSWORD});
    cluster.call("AuthService/Login", &None, message).await;
}

fn mail(cluster: &Cluster, person: &Person, purpose: &str) -> Json {
    json!({"request": {
        "id": cluster.id(),
        "purpose": purpose,
        "email": person.email(),
        "account_id": person.id,
    }})
}

/// The token in a mail to somebody.
async fn issue(cluster: &Cluster, person: &Person, purpose: &str) -> String {
    let issued = cluster
        .call(
            "MailService/IssueMail",
            &cluster.service,
            mail(cluster, person, purpose),
        )
        .await;
    text(&issued["mail"]["token"])
}
