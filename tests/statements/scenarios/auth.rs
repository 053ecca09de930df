//! Accounts, sessions and tokens.

use quartet_auth::domain::TotpSecret;
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
    "AuthService/ReplacePassword": |cluster| {
        let person = cluster.person().await;
        login(cluster, &person).await;
        let message = json!({"current_password": Person::PASSWORD, "new_password": "staple correct horse"});
        (person.token, message)
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
    "AuthService/VerifyEmail, another one": |cluster| {
        let person = cluster.person().await;
        (None, json!({"token": moving(cluster, &person).await}))
    };
    "AuthService/UndoEmailChange": |cluster| {
        let person = cluster.person().await;
        let token = moving(cluster, &person).await;
        cluster.call("AuthService/VerifyEmail", &None, json!({"token": token})).await;
        let request = cluster.undo_request(&person.id).await;
        let mail = json!({"request": {
            "id": request,
            "purpose": "MAIL_PURPOSE_EMAIL_CHANGE_UNDO",
            "email": person.email(),
            "account_id": person.id,
        }});
        let issued = cluster.call("MailService/IssueMail", &cluster.service, mail).await;
        (None, json!({"token": text(&issued["mail"]["token"])}))
    };
    "AuthService/Reauthenticate": |cluster| {
        let person = cluster.person().await;
        (person.token, json!({"password": Person::PASSWORD}))
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
    "AuthService/OpenAccount": |cluster| {
        let name = cluster.name();
        let (email, password) = (format!("{name}@example.org"), "a sentence that is long enough");
        (cluster.service.clone(), json!({"username": name, "email": email, "password": password}))
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
    "AuthService/EndSessions": |cluster| {
        let person = cluster.person().await;
        (cluster.superuser.clone(), json!({"account_id": person.id}))
    };
    "OAuthService/RevokeToken": |cluster| {
        let person = cluster.person().await;
        (None, json!({"token": person.refresh_token}))
    };
    "OAuthService/IntrospectToken": |cluster| {
        let person = cluster.person().await;
        (cluster.service.clone(), json!({"token": person.token}))
    };
    "OAuthService/IntrospectTokenForClient": |cluster| {
        let person = cluster.person().await;
        (cluster.service.clone(), json!({"token": person.token}))
    };
    "OAuthService/GetServerMetadata": |_cluster| (None, json!({}));
    "SecurityEventService/ListSecurityEvents": |cluster| (cluster.person().await.token, json!({}));
    "SecondFactorService/GetSecondFactor": |cluster| (cluster.person().await.token, json!({}));
    "SecondFactorService/EnrolSecondFactor": |cluster| (cluster.person().await.token, json!({}));
    "SecondFactorService/ConfirmSecondFactor": |cluster| {
        let person = cluster.person().await;
        let secret = enrol(cluster, &person).await;
        (person.token, json!({"code": secret.code_at(cluster.now())}))
    };
    "SecondFactorService/RenewRecoveryCodes": |cluster| {
        let person = cluster.person().await;
        confirm(cluster, &person).await;
        (person.token, json!({}))
    };
    "SecondFactorService/RemoveSecondFactor": |cluster| {
        let person = cluster.person().await;
        confirm(cluster, &person).await;
        (person.token, json!({}))
    };
    "SecondFactorService/ResetSecondFactor": |cluster| {
        let person = cluster.person().await;
        confirm(cluster, &person).await;
        (cluster.superuser.clone(), json!({"account_id": person.id}))
    };
    "SecondFactorService/CompleteLogin": |cluster| {
        let person = cluster.person().await;
        let secret = confirm(cluster, &person).await;
        let message = json!({"username_or_email": person.username, "password": Person::PASSWORD});
        let challenge = cluster.challenge(message).await;
        (None, json!({"challenge": challenge, "code": secret.code_at(cluster.now())}))
    };
    "SecondFactorService/CompleteLogin, recovery code": |cluster| {
        let person = cluster.person().await;
        let secret = enrol(cluster, &person).await;
        let code = json!({"code": secret.code_at(cluster.now())});
        let confirmed = cluster.call("SecondFactorService/ConfirmSecondFactor", &person.token, code).await;
        let message = json!({"username_or_email": person.username, "password": Person::PASSWORD});
        let challenge = cluster.challenge(message).await;
        (None, json!({"challenge": challenge, "code": confirmed["recovery_codes"][0]}))
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

/// The secret of a second factor that is drawn for somebody.
async fn enrol(cluster: &Cluster, person: &Person) -> TotpSecret {
    let enrolled = cluster
        .call("SecondFactorService/EnrolSecondFactor", &person.token, json!({}))
        .await;
    TotpSecret::from_base32(&text(&enrolled["secret"])).expect("a secret")
}

/// The secret of a second factor that somebody has. The code of this moment is not used.
async fn confirm(cluster: &Cluster, person: &Person) -> TotpSecret {
    let secret = enrol(cluster, person).await;
    let code = json!({"code": secret.code_at(cluster.now() - time::Duration::seconds(30))});
    cluster
        .call("SecondFactorService/ConfirmSecondFactor", &person.token, code)
        .await;
    secret
}

/// The token in the mail to another address, for somebody whose own is proven.
async fn moving(cluster: &Cluster, person: &Person) -> String {
    let token = issue(cluster, person, "MAIL_PURPOSE_EMAIL_VERIFICATION").await;
    cluster
        .call("AuthService/VerifyEmail", &None, json!({"token": token}))
        .await;
    let email = format!("{}@example.org", cluster.name());
    let change = json!({"account_id": person.id, "email": email});
    cluster
        .call("AuthService/UpdateAccount", &cluster.service, change)
        .await;
    let mail = json!({"request": {
        "id": cluster.id(),
        "purpose": "MAIL_PURPOSE_EMAIL_CHANGE",
        "email": email,
        "account_id": person.id,
    }});
    let issued = cluster.call("MailService/IssueMail", &cluster.service, mail).await;
    text(&issued["mail"]["token"])
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
