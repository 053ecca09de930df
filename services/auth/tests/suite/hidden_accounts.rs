//! Accounts that are hidden (`HIDE_ACCOUNTS`): nobody learns by registrations and changes of address
//! whether an address has an account.

use prost::Message as _;
use quartet_proto::auth::v1 as pb;
use quartet_proto::events::Event as _;
use quartet_store::Database;
use time::Duration;
use tonic::{Response, Status};

use crate::harness::{Auth, Kind, PASSWORD, reason, start, start_with, with_token};

const HIDDEN: &[(&str, &str)] = &[("HIDE_ACCOUNTS", "true")];

/// Each test twice: over SQLite, and over PostgreSQL where there is a server.
macro_rules! hidden_on_both {
    ($($name:ident,)*) => {
        mod sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(start_with(Kind::Sqlite, HIDDEN).await).await; })*
        }
        mod postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs PostgreSQL: make test"]
            async fn $name() { super::$name(start_with(Kind::Postgres, HIDDEN).await).await; })*
        }
    };
}

hidden_on_both!(
    a_taken_address_is_registered_like_any_other,
    a_taken_address_is_requested_like_any_other,
    a_claim_is_the_accounts_once_it_is_free_and_proven,
    a_reset_proves_the_address_and_one_warning_an_hour_is_enough,
    a_claim_is_in_the_trail_of_a_proven_owner_with_the_mail_alone,
    a_claim_outlives_a_change_of_the_password,
    an_earlier_address_of_an_account_is_free_to_it,
);

async fn register(auth: &Auth, username: &str, email: &str) -> Result<pb::RegisterResponse, Status> {
    let request = pb::RegisterRequest {
        name: String::new(),
        username: username.into(),
        email: email.into(),
        password: PASSWORD.into(),
        use_cookie: false,
    };
    auth.client.clone().register(request).await.map(Response::into_inner)
}

/// What a registration returns, without what is drawn anew each time.
fn shape(reply: &pb::RegisterResponse) -> pb::RegisterResponse {
    let mut shape = reply.clone();
    for text in [&mut shape.access_token, &mut shape.refresh_token] {
        assert!(!text.is_empty());
        *text = text
            .split('.')
            .map(|part| part.len().to_string())
            .collect::<Vec<_>>()
            .join(".");
    }
    shape.device_token = shape.device_token.map(|token| token.len().to_string());
    let user = shape.user.as_mut().unwrap();
    assert_eq!(user.id.len(), 36);
    user.id.clear();
    user.username.clear();
    user.name.clear();
    user.email.clear();
    shape
}

/// The account as its owner sees it, without its id, its names and its address.
async fn seen(auth: &Auth, token: &str) -> pb::Account {
    let account = auth.me(token).await.unwrap();
    pb::Account {
        id: String::new(),
        etag: String::new(),
        username: String::new(),
        email: String::new(),
        ..account
    }
}

async fn trail(auth: &Auth, token: &str) -> Vec<pb::SecurityEvent> {
    let request = with_token(pb::ListSecurityEventsRequest::default(), token);
    auth.events()
        .list_security_events(request)
        .await
        .unwrap()
        .into_inner()
        .data
}

/// The types and details of somebody's events, the latest first.
async fn kinds(auth: &Auth, token: &str) -> Vec<(String, String)> {
    let events = trail(auth, token).await;
    events.into_iter().map(|event| (event.r#type, event.detail)).collect()
}

async fn verify(auth: &Auth, token: &str) -> String {
    let request = pb::VerifyEmailRequest { token: token.into() };
    reason(&auth.client.clone().verify_email(request).await)
}

async fn request_verification(auth: &Auth, token: &str) -> String {
    let request = with_token(pb::RequestEmailVerificationRequest {}, token);
    reason(&auth.client.clone().request_email_verification(request).await)
}

async fn change_address(auth: &Auth, account: &pb::RegisterResponse, email: &str) -> Result<pb::Account, Status> {
    let request = auth.as_service(pb::UpdateAccountRequest {
        account_id: account.user.clone().unwrap().id,
        username: None,
        email: Some(email.into()),
    });
    auth.client
        .clone()
        .update_account(request)
        .await
        .map(Response::into_inner)
}

/// An account whose address is proven.
async fn proven(auth: &Auth, username: &str) -> pb::RegisterResponse {
    let account = auth.register(username).await;
    let token = auth.mails_to(&format!("{username}@example.org"), 1).await[0].token();
    assert_eq!(verify(auth, &token).await, "");
    account
}

async fn opened(auth: &Auth) -> Vec<pb::AccountRegistered> {
    let sql = "select payload from outbox where kind = $1 order by seq";
    let kind = pb::AccountRegistered::KIND;
    let payloads: Vec<Vec<u8>> = match auth.database() {
        Database::Postgres(database) => sqlx::query_scalar(sql).bind(kind).fetch_all(database.pool()).await,
        Database::Sqlite(database) => sqlx::query_scalar(sql).bind(kind).fetch_all(database.pool()).await,
    }
    .unwrap();
    let decode = |payload: Vec<u8>| pb::AccountRegistered::decode(payload.as_slice()).unwrap();
    payloads.into_iter().map(decode).collect()
}

async fn a_taken_address_is_registered_like_any_other(auth: Auth) {
    let ann = proven(&auth, "ann").await;
    let free = register(&auth, "eve1", "Nobody@example.org").await.unwrap();
    let taken = register(&auth, "eve2", "ANN@example.org").await.unwrap();
    assert_eq!(shape(&free), shape(&taken));
    assert_eq!(taken.user.as_ref().unwrap().email, "ANN@example.org");
    // A user name is public.
    assert_eq!(
        reason(&register(&auth, "ann", "new@example.org").await),
        "USERNAME_TAKEN"
    );
    assert_eq!(
        reason(&register(&auth, "ann", "ann@example.org").await),
        "USERNAME_TAKEN"
    );

    // Nor does anything afterwards show it.
    for (username, address, reply) in [
        ("eve1", "nobody@example.org", &free),
        ("eve2", "ann@example.org", &taken),
    ] {
        assert_eq!(
            reason(&auth.login(address, PASSWORD, "203.0.113.9").await),
            match username {
                "eve2" => "",
                _ => "INVALID_CREDENTIALS",
            },
            "only a proven address signs in: here Ann, since all have one password"
        );
        auth.login(username, PASSWORD, "203.0.113.9").await.unwrap();
        auth.refresh(&reply.refresh_token).await.unwrap();
        assert_eq!(request_verification(&auth, &reply.access_token).await, "");
        let other_spelling = change_address(&auth, reply, &address.to_uppercase()).await.unwrap();
        assert_eq!(
            (other_spelling.email, other_spelling.pending_email),
            (address.to_uppercase(), None)
        );
    }
    assert_eq!(
        seen(&auth, &free.access_token).await,
        seen(&auth, &taken.access_token).await
    );
    assert_eq!(
        kinds(&auth, &free.access_token).await,
        kinds(&auth, &taken.access_token).await
    );

    // The truth goes by mail, and into the trail of the owner.
    let mails = auth.mails_to("ann@example.org", 2).await;
    assert_eq!(mails[1].purpose, pb::MailPurpose::AddressTaken);
    assert_eq!((mails[1].name(), mails[1].link()), ("ann", ""));
    let warnings = kinds(&auth, &ann.access_token).await;
    let warned = ("user_address_claimed".to_owned(), String::new());
    assert_eq!(
        warnings.iter().filter(|kind| **kind == warned).count(),
        1,
        "{warnings:?}"
    );
    let claimed: Vec<bool> = opened(&auth).await.iter().map(|event| event.email_claimed).collect();
    assert_eq!(claimed, [false, false, true]);
}

async fn a_taken_address_is_requested_like_any_other(auth: Auth) {
    let ann = proven(&auth, "ann").await;
    let (eve, mallory) = (proven(&auth, "eve").await, proven(&auth, "mallory").await);
    let free = change_address(&auth, &eve, "Nobody@example.org").await.unwrap();
    let taken = change_address(&auth, &mallory, "Ann@example.org").await.unwrap();
    assert_eq!(taken.pending_email.as_deref(), Some("Ann@example.org"));
    assert_eq!(taken.email, "mallory@example.org");
    assert_eq!(
        (free.status, free.email_verified, free.updated_at),
        (taken.status, taken.email_verified, taken.updated_at)
    );
    for account in [&eve, &mallory] {
        assert_eq!(request_verification(&auth, &account.access_token).await, "");
    }
    assert_eq!(
        kinds(&auth, &eve.access_token).await,
        kinds(&auth, &mallory.access_token).await
    );
    // Both of their owners are warned, and the one of the taken address gets no link.
    assert_eq!(
        auth.mails_to("eve@example.org", 2).await[1].purpose,
        pb::MailPurpose::EmailChangeNotice
    );
    assert_eq!(
        auth.mails_to("mallory@example.org", 2).await[1].purpose,
        pb::MailPurpose::EmailChangeNotice
    );
    let mails = auth.mails_to("ann@example.org", 2).await;
    assert_eq!(mails[1].purpose, pb::MailPurpose::AddressTaken);
    // The mail counts as one of those of who has requested it.
    let requests = auth.requests().await;
    let warnings: Vec<_> = requests
        .iter()
        .filter_map(|requested| requested.request.clone())
        .filter(|request| request.purpose() == pb::MailPurpose::AddressTaken)
        .collect();
    assert_eq!(warnings.len(), 2);
    assert!(
        warnings
            .iter()
            .all(|request| request.requested_by == Some(mallory.user.clone().unwrap().id)),
        "{warnings:?}"
    );
    assert_eq!(auth.me(&ann.access_token).await.unwrap().email, "ann@example.org");
}

async fn a_claim_is_the_accounts_once_it_is_free_and_proven(auth: Auth) {
    let ann = proven(&auth, "ann").await;
    let eve = register(&auth, "eve", "ann@example.org").await.unwrap();
    assert_eq!(request_verification(&auth, &eve.access_token).await, "");
    let purge = auth.as_service(pb::PurgeAccountRequest {
        account_id: ann.user.unwrap().id,
    });
    auth.client.clone().purge_account(purge).await.unwrap();
    let before = auth.requests().await.len();
    assert_eq!(request_verification(&auth, &eve.access_token).await, "");
    let request = auth.requests().await[before].clone();
    let link = auth.issue(&request).await.unwrap();
    assert_eq!(
        (link.purpose, link.to.as_str()),
        (pb::MailPurpose::EmailChange, "ann@example.org")
    );
    assert_eq!(verify(&auth, &link.token()).await, "");
    let account = auth.me(&eve.access_token).await.unwrap();
    assert!(account.email_verified && account.pending_email.is_none(), "{account:?}");
    auth.login("ann@example.org", PASSWORD, "").await.unwrap();
    assert_eq!(
        request_verification(&auth, &eve.access_token).await,
        "EMAIL_ALREADY_VERIFIED"
    );
}

async fn a_reset_proves_the_address_and_one_warning_an_hour_is_enough(auth: Auth) {
    let ann = auth.register("ann").await;
    auth.mails_to("ann@example.org", 1).await;
    for n in 0..3 {
        register(&auth, &format!("eve{n}"), "ann@example.org").await.unwrap();
    }
    auth.mails_to("ann@example.org", 2).await;
    auth.clock.advance(Duration::hours(1));
    register(&auth, "eve4", "ann@example.org").await.unwrap();
    auth.mails_to("ann@example.org", 3).await;

    let request = pb::RequestPasswordResetRequest {
        email: "ann@example.org".into(),
    };
    auth.client.clone().request_password_reset(request).await.unwrap();
    let token = auth.mails_to("ann@example.org", 4).await[3].token();
    let request = pb::ResetPasswordRequest {
        token,
        new_password: "another good password".into(),
    };
    auth.client.clone().reset_password(request).await.unwrap();
    let again = auth
        .login("ann@example.org", "another good password", "")
        .await
        .unwrap();
    let account = auth.me(&again.access_token).await.unwrap();
    assert_eq!((account.id, account.email_verified), (ann.user.unwrap().id, true));
}

async fn a_claim_outlives_a_change_of_the_password(auth: Auth) {
    let ann = proven(&auth, "ann").await;
    let own = register(&auth, "eve1", "Nobody@example.org").await.unwrap();
    let claim = register(&auth, "eve2", "Ann@example.org").await.unwrap();
    let mut tokens = Vec::new();
    for (account, username) in [(&own, "eve1"), (&claim, "eve2")] {
        let other = format!("other-{username}@example.org");
        let requested = change_address(&auth, account, &other).await.unwrap();
        assert_eq!(requested.pending_email, Some(other));
        let request = pb::ReplacePasswordRequest {
            current_password: PASSWORD.into(),
            new_password: "another good password".into(),
            refresh_cookie: None,
        };
        let request = with_token(request, &account.access_token);
        let replaced = auth.client.clone().replace_password(request).await.unwrap();
        tokens.push(replaced.into_inner().access_token);
    }
    assert_eq!(seen(&auth, &tokens[0]).await, seen(&auth, &tokens[1]).await);
    assert_eq!(seen(&auth, &tokens[1]).await.pending_email, None);
    // It is still the account's once it is free and proven.
    let purge = auth.as_service(pb::PurgeAccountRequest {
        account_id: ann.user.unwrap().id,
    });
    auth.client.clone().purge_account(purge).await.unwrap();
    let before = auth.requests().await.len();
    assert_eq!(request_verification(&auth, &tokens[1]).await, "");
    let request = auth.requests().await[before].clone();
    let link = auth.issue(&request).await.unwrap();
    assert_eq!(
        (link.purpose, link.to.as_str()),
        (pb::MailPurpose::EmailChange, "Ann@example.org")
    );
    assert_eq!(verify(&auth, &link.token()).await, "");
    auth.login("ann@example.org", "another good password", "")
        .await
        .unwrap();
}

async fn an_earlier_address_of_an_account_is_free_to_it(auth: Auth) {
    let ann = proven(&auth, "ann").await;
    change_address(&auth, &ann, "anna@example.net").await.unwrap();
    let token = auth.mails_to("anna@example.net", 1).await[0].token();
    assert_eq!(verify(&auth, &token).await, "");
    let (back, stranger) = ("ann@example.org", proven(&auth, "eve").await);
    for (account, purpose) in [
        (&ann, pb::MailPurpose::EmailChange),
        // The owner may still undo the change.
        (&stranger, pb::MailPurpose::AddressTaken),
    ] {
        change_address(&auth, account, back).await.unwrap();
        let before = auth.requests().await.len();
        assert_eq!(request_verification(&auth, &account.access_token).await, "");
        let requests = auth.requests().await;
        assert_eq!(requests[before].request.clone().unwrap().purpose(), purpose);
    }
}

async fn a_claim_is_in_the_trail_of_a_proven_owner_with_the_mail_alone(auth: Auth) {
    let claims = async |token: &str| {
        let kinds = kinds(&auth, token).await;
        kinds.iter().filter(|(kind, _)| kind == "user_address_claimed").count()
    };
    // Whoever has registered with a stranger's address learns nothing of others who do.
    let ann = auth.register("ann").await;
    let proof = auth.mails_to("ann@example.org", 1).await[0].token();
    register(&auth, "eve1", "ann@example.org").await.unwrap();
    let eve = auth.register("eve").await;
    change_address(&auth, &eve, "ann@example.org").await.unwrap();
    let warnings = async |count: usize| {
        let mails = auth.mails_to("ann@example.org", count).await;
        let purposes = mails.iter().map(|mail| mail.purpose);
        purposes
            .filter(|purpose| *purpose == pb::MailPurpose::AddressTaken)
            .count()
    };
    assert_eq!(warnings(2).await, 1);
    assert_eq!(claims(&ann.access_token).await, 0);

    // The owner does, with each mail that goes out.
    assert_eq!(verify(&auth, &proof).await, "");
    auth.clock.advance(Duration::hours(1));
    let tokens = auth.login("ann", PASSWORD, "").await.unwrap();
    for n in 2..5 {
        register(&auth, &format!("eve{n}"), "ann@example.org").await.unwrap();
    }
    assert_eq!(claims(&tokens.access_token).await, 0, "no mail is out yet");
    assert_eq!(warnings(3).await, 2);
    assert_eq!(claims(&tokens.access_token).await, 1);
    let trail = trail(&auth, &tokens.access_token).await;
    let event = trail
        .iter()
        .find(|event| event.r#type == "user_address_claimed")
        .unwrap();
    assert_eq!(
        (event.actor.as_str(), &event.session_id, event.client_address.as_str()),
        ("", &None, "")
    );
}

#[tokio::test]
async fn accounts_are_hidden_in_production_and_staging_or_by_the_setting() {
    for (environment, setting, expected) in [
        ("local", "", false),
        ("dev", "", false),
        ("uat", "", false),
        ("staging", "", true),
        ("production", "", true),
        ("production", "false", false),
        ("local", "true", true),
    ] {
        let settings = [("ENVIRONMENT", environment), ("HIDE_ACCOUNTS", setting)];
        let source = quartet_config::Source::of(settings);
        let config = quartet_auth::Config::read(&source).unwrap();
        assert_eq!(config.own.hides_accounts(), expected, "{environment} {setting}");
    }
    // Without it, the caller learns at once that the address is taken.
    let auth = start().await;
    auth.register("ann").await;
    assert_eq!(reason(&register(&auth, "eve", "Ann@example.org").await), "EMAIL_TAKEN");
    let eve = auth.register("eve").await;
    assert_eq!(
        reason(&change_address(&auth, &eve, "ann@example.org").await),
        "EMAIL_TAKEN"
    );
}
