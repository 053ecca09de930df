//! Accounts: opening, changing, closing, deleting.

use quartet_proto::auth::v1 as pb;
use tonic_types::StatusExt;

use crate::harness::{Auth, Kind, PASSWORD, reason, start, start_with, with_token};

fn wanted(username: &str, email: &str, password: &str) -> pb::RegisterRequest {
    pb::RegisterRequest {
        name: "Ann Lee".into(),
        username: username.into(),
        email: email.into(),
        password: password.into(),
        use_cookie: false,
    }
}

#[tokio::test]
async fn registering_opens_an_account_and_signs_it_in() {
    let auth = start().await;
    let request = wanted("ann", "Ann@Example.org", PASSWORD);
    let reply = auth.client.clone().register(request).await.unwrap().into_inner();
    let user = reply.user.unwrap();
    assert_eq!(
        (user.name.as_str(), user.username.as_str(), user.role()),
        ("Ann Lee", "ann", pb::Role::User)
    );
    assert_eq!((reply.expires_in, reply.refresh_expires_in), (900, 7 * 86_400));
    let account = auth.me(&reply.access_token).await.unwrap();
    assert_eq!(
        (account.id.clone(), account.email.as_str()),
        (user.id.clone(), "Ann@Example.org")
    );
    assert_eq!(account.status(), pb::AccountStatus::Active);
    assert!(!account.email_verified);
    let calls = auth.users.calls();
    assert_eq!(
        (calls[0].account_id.as_str(), calls[0].name.as_str()),
        (user.id.as_str(), "Ann Lee")
    );
    assert_eq!(calls[0].role, quartet_proto::users::v1::UserRole::RoleUser as i32);
}

#[tokio::test]
async fn names_and_addresses_are_unique_in_any_case() {
    let auth = start().await;
    auth.register("ann").await;
    let mut client = auth.client.clone();
    let taken = client.register(wanted("ann", "other@example.org", PASSWORD)).await;
    assert_eq!(reason(&taken), "USERNAME_TAKEN");
    let taken = client.register(wanted("bob", "ANN@Example.org", PASSWORD)).await;
    assert_eq!(reason(&taken), "EMAIL_TAKEN");
}

#[tokio::test]
async fn every_broken_field_is_reported_at_once() {
    let auth = start().await;
    let mut request = wanted("Ann!", "nobody", "password");
    request.name = "x".into();
    let refused = auth.client.clone().register(request).await.unwrap_err();
    let violations = refused.get_details_bad_request().unwrap().field_violations;
    let reported: Vec<_> = violations
        .iter()
        .map(|violation| (violation.field.as_str(), violation.reason.as_str()))
        .collect();
    assert_eq!(
        reported,
        [
            ("name", "STRING_MIN_LEN"),
            ("username", "STRING_PATTERN"),
            ("email", "STRING_EMAIL"),
            ("password", "PASSWORD_COMMON"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_registered_at_once_is_one_account() {
    register_at_once(start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn one_name_registered_at_once_is_one_account_on_postgresql() {
    register_at_once(start_with(Kind::Postgres, &[]).await).await;
}

async fn register_at_once(auth: Auth) {
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let mut client = auth.client.clone();
            let request = wanted("ann", &format!("ann{n}@example.org"), PASSWORD);
            tokio::spawn(async move { reason(&client.register(request).await) })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers.sort();
    assert_eq!(answers[0], "");
    assert!(
        answers[1..].iter().all(|answer| answer == "USERNAME_TAKEN"),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_disabled_account_is_reported_only_for_the_right_password() {
    let auth = start().await;
    let (_, root) = auth.superuser("root").await;
    let ann = auth.register("ann").await;
    let id = ann.user.unwrap().id;
    let mut client = auth.client.clone();
    let mut set = async |status: pb::AccountStatus| {
        let request = pb::SetStatusRequest {
            account_id: id.clone(),
            status: status as i32,
            etag: String::new(),
        };
        client
            .set_status(with_token(request, &root))
            .await
            .map(tonic::Response::into_inner)
    };
    assert_eq!(
        set(pb::AccountStatus::Disabled).await.unwrap().status(),
        pb::AccountStatus::Disabled
    );
    auth.until_revoked(&ann.access_token).await;
    assert_eq!(reason(&auth.refresh(&ann.refresh_token).await), "INVALID_REFRESH_TOKEN");
    assert_eq!(reason(&auth.login("ann", PASSWORD, "").await), "ACCOUNT_DISABLED");
    assert_eq!(
        reason(&auth.login("ann", "not the password", "").await),
        "INVALID_CREDENTIALS"
    );
    assert_eq!(reason(&set(pb::AccountStatus::Closed).await), "VALIDATION_FAILED");

    set(pb::AccountStatus::Active).await.unwrap();
    auth.login("ann", PASSWORD, "").await.unwrap();
}

#[tokio::test]
async fn a_closed_account_is_as_good_as_none_until_it_is_opened_again() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    let id = ann.user.unwrap().id;
    let mut client = auth.client.clone();
    for _ in 0..2 {
        let request = auth.as_service(pb::CloseAccountRequest { account_id: id.clone() });
        client.close_account(request).await.unwrap();
    }
    auth.until_revoked(&ann.access_token).await;
    let dummies = auth.hashing.dummies();
    assert_eq!(reason(&auth.login("ann", PASSWORD, "").await), "INVALID_CREDENTIALS");
    assert_eq!(auth.hashing.dummies(), dummies + 1);
    // The name is kept for the owner.
    let taken = client.register(wanted("ann", "new@example.org", PASSWORD)).await;
    assert_eq!(reason(&taken), "USERNAME_TAKEN");
    for _ in 0..2 {
        let request = auth.as_service(pb::ReopenAccountRequest { account_id: id.clone() });
        client.reopen_account(request).await.unwrap();
    }
    auth.login("ann", PASSWORD, "").await.unwrap();

    let nobody = "018f0000-0000-7000-8000-000000000000".to_owned();
    let request = auth.as_service(pb::CloseAccountRequest { account_id: nobody });
    assert_eq!(reason(&client.close_account(request).await), "ACCOUNT_NOT_FOUND");
    let request = auth.as_service(pb::ReopenAccountRequest { account_id: "x".into() });
    assert_eq!(reason(&client.reopen_account(request).await), "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_purged_account_is_gone_and_its_tokens_with_it() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    let id = ann.user.unwrap().id;
    for _ in 0..2 {
        let request = auth.as_service(pb::PurgeAccountRequest { account_id: id.clone() });
        auth.client.clone().purge_account(request).await.unwrap();
    }
    auth.until_revoked(&ann.access_token).await;
    assert_eq!(reason(&auth.refresh(&ann.refresh_token).await), "INVALID_REFRESH_TOKEN");
    auth.register("ann").await;
}

#[tokio::test]
async fn the_users_service_renames_an_account() {
    let auth = start().await;
    auth.register("bob").await;
    let ann = auth.register("ann").await;
    let id = ann.user.unwrap().id;
    let mut client = auth.client.clone();
    let mut update = async |username: Option<&str>, email: Option<&str>| {
        let request = auth.as_service(pb::UpdateAccountRequest {
            account_id: id.clone(),
            username: username.map(str::to_owned),
            email: email.map(str::to_owned),
        });
        client.update_account(request).await.map(tonic::Response::into_inner)
    };
    let renamed = update(Some("anna"), None).await.unwrap();
    assert_eq!(
        (renamed.username.as_str(), renamed.email.as_str()),
        ("anna", "ann@example.org")
    );
    assert_eq!(reason(&update(Some("bob"), None).await), "USERNAME_TAKEN");
    assert_eq!(reason(&update(None, Some("BOB@example.org")).await), "EMAIL_TAKEN");
    assert_eq!(reason(&update(Some("Anna"), Some("x")).await), "VALIDATION_FAILED");
    // Their own name and address in another spelling are not taken.
    update(Some("anna"), Some("Ann@Example.org")).await.unwrap();
    auth.login("anna", PASSWORD, "").await.unwrap();
}

#[tokio::test]
async fn where_somebody_gets_mail_is_returned_to_services_alone() {
    let auth = start().await;
    let reply = auth.register("ann").await;
    let id = reply.user.unwrap().id;
    let mut contacts = auth.contacts();
    let request = |account_id: &str| pb::GetContactRequest {
        account_id: account_id.into(),
    };
    let contact = contacts
        .get_contact(auth.as_service(request(&id)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (contact.account_id.as_str(), contact.email.as_str()),
        (id.as_str(), "ann@example.org")
    );
    assert_eq!((contact.email_verified, contact.active), (false, true));
    let stranger = auth.as_service(request("0190f0e0-0000-7000-8000-000000000007"));
    assert_eq!(reason(&contacts.get_contact(stranger).await), "ACCOUNT_NOT_FOUND");
    let own = with_token(request(&id), &reply.access_token);
    assert_eq!(
        contacts.get_contact(own).await.unwrap_err().code(),
        tonic::Code::PermissionDenied
    );
}
