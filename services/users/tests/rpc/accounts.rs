//! What spans two services: names and addresses, deletion, restoration, purge.

use std::time::Duration;

use quartet_proto::options::Reason;
use quartet_proto::users::v1 as pb;
use quartet_testkit::identity::{Identity, service_request};
use time::OffsetDateTime;
use tonic::{Code, Request, Status};

use super::fake_auth::Mood;
use super::{Users, because, breaks, broken, mask, refusal};

impl Users {
    async fn update(&mut self, by: &Identity, who: &Identity, paths: &[&str]) -> Result<pb::User, Status> {
        let request = by.request(pb::UpdateUserRequest {
            user_id: who.id.to_string(),
            user: Some(pb::UserEdit {
                name: "Countess Ada".into(),
                username: "lovelace".into(),
                email: "Lovelace@Example.org".into(),
                profile_image_url: "https://example.org/ada.png".into(),
            }),
            update_mask: mask(paths),
            etag: String::new(),
        });
        self.client.update_user(request).await.map(tonic::Response::into_inner)
    }

    async fn delete(&mut self, by: &Identity, who: &Identity) -> Result<(), Status> {
        self.client.delete_user(delete(by, who)).await.map(drop)
    }

    async fn restore(&mut self, who: &Identity) -> Result<pb::User, Status> {
        let restore = pb::RestoreUserRequest {
            user_id: who.id.to_string(),
            etag: String::new(),
        };
        let request = self.superuser.request(restore);
        self.client.restore_user(request).await.map(tonic::Response::into_inner)
    }

    async fn purge(&mut self, who: &Identity) -> Result<(), Status> {
        let purge = pb::PurgeUserRequest {
            user_id: who.id.to_string(),
            etag: String::new(),
        };
        self.client.purge_user(self.superuser.request(purge)).await.map(drop)
    }

    async fn purge_deleted(&mut self, before: OffsetDateTime, limit: i32) -> Result<i32, Status> {
        let message = pb::PurgeDeletedUsersRequest {
            deleted_before: Some(quartet_rpc::timestamp::to_proto(before)),
            limit,
        };
        let request = service_request("jobs", &self.clock, message);
        Ok(self.upkeep.purge_deleted_users(request).await?.into_inner().purged)
    }

    async fn is_there(&mut self, who: &Identity) -> bool {
        let superuser = self.superuser.clone();
        match self.get(&superuser, who).await {
            Ok(_) => true,
            Err(status) => {
                assert_eq!(refusal(status), because(Code::NotFound, "USER_NOT_FOUND"));
                false
            }
        }
    }
}

fn delete(by: &Identity, who: &Identity) -> Request<pb::DeleteUserRequest> {
    by.request(pb::DeleteUserRequest {
        user_id: who.id.to_string(),
        etag: String::new(),
    })
}

#[tokio::test]
async fn auth_decides_on_names_and_addresses_before_they_are_copied() {
    let mut users = Users::new().await;
    let ada = users.ada.clone();
    let updated = users.update(&ada, &ada, &["username", "email"]).await.unwrap();
    assert_eq!(
        (updated.name.as_str(), updated.username.as_str(), updated.email()),
        ("ada", "lovelace", "Lovelace@Example.org")
    );
    assert_eq!(
        users.auth.requests(),
        [format!(
            "update {} Some(\"lovelace\") Some(\"Lovelace@Example.org\")",
            ada.id
        )]
    );
    users.update(&ada, &ada, &["username"]).await.unwrap();
    assert_eq!(
        users.auth.requests(),
        [format!("update {} Some(\"lovelace\") None", ada.id)]
    );
}

#[tokio::test]
async fn an_address_is_shown_once_auth_has_proof_of_it() {
    let mut users = Users::new().await;
    let ada = users.ada.clone();
    users.auth.keep("ada@example.org");
    let updated = users.update(&ada, &ada, &["username", "email"]).await.unwrap();
    assert_eq!(
        (updated.username.as_str(), updated.email()),
        ("lovelace", "ada@example.org")
    );
    assert_eq!(users.get(&ada, &ada).await.unwrap().email(), "ada@example.org");
}

#[tokio::test]
async fn other_fields_do_not_need_auth() {
    let mut users = Users::new().await;
    users.auth.set(Mood::Away);
    let ada = users.ada.clone();
    let updated = users.update(&ada, &ada, &["name", "profile_image_url"]).await.unwrap();
    assert_eq!(
        (updated.name.as_str(), updated.username.as_str()),
        ("Countess Ada", "ada")
    );
    assert_eq!(updated.profile_image_url, "https://example.org/ada.png");
    assert!(users.auth.requests().is_empty());
}

#[tokio::test]
async fn what_auth_refuses_changes_nothing() {
    let mut users = Users::new().await;
    let ada = users.ada.clone();
    let before = users.get(&ada, &ada).await.unwrap();
    let refusals = [
        (
            Mood::Refuses(Code::AlreadyExists, Reason::UsernameTaken),
            because(Code::AlreadyExists, "USERNAME_TAKEN"),
        ),
        (
            Mood::Refuses(Code::AlreadyExists, Reason::EmailTaken),
            because(Code::AlreadyExists, "EMAIL_TAKEN"),
        ),
        (
            Mood::Refuses(Code::NotFound, Reason::AccountNotFound),
            because(Code::NotFound, "USER_NOT_FOUND"),
        ),
        (Mood::Away, because(Code::Unavailable, "UNAVAILABLE")),
        // What auth must not answer is nothing that a caller can mend.
        (
            Mood::Refuses(Code::PermissionDenied, Reason::PermissionDenied),
            because(Code::Internal, "INTERNAL"),
        ),
    ];
    for (mood, expected) in refusals {
        users.auth.set(mood.clone());
        let status = users.update(&ada, &ada, &["name", "username"]).await.unwrap_err();
        assert_eq!(refusal(status), expected, "{mood:?}");
        assert_eq!(users.get(&ada, &ada).await.unwrap(), before, "{mood:?}");
    }
}

#[tokio::test]
async fn a_field_that_auth_refuses_is_named_as_the_caller_knows_it() {
    let mut users = Users::new().await;
    users.auth.set(Mood::Finds("username", "STRING_PATTERN"));
    let ada = users.ada.clone();
    let status = users.update(&ada, &ada, &["username"]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(broken(&status), breaks(&[("user.username", "STRING_PATTERN")]));
}

#[tokio::test]
async fn nothing_is_requested_of_auth_for_a_user_who_is_not_there_or_somebody_else() {
    let mut users = Users::new().await;
    let (ada, superuser) = (users.ada.clone(), users.superuser.clone());
    let nobody = Identity::user(&users.clock);
    let missing = users.update(&superuser, &nobody, &["username"]).await.unwrap_err();
    assert_eq!(refusal(missing), because(Code::NotFound, "USER_NOT_FOUND"));
    let other = users.update(&ada, &superuser, &["username"]).await.unwrap_err();
    assert_eq!(refusal(other), because(Code::PermissionDenied, "NOT_YOUR_USER"));
    let other = users.delete(&ada, &superuser).await.unwrap_err();
    assert_eq!(refusal(other), because(Code::PermissionDenied, "NOT_YOUR_USER"));
    let missing = users.delete(&superuser, &nobody).await.unwrap_err();
    assert_eq!(refusal(missing), because(Code::NotFound, "USER_NOT_FOUND"));
    assert!(users.auth.requests().is_empty());
    users.update(&superuser, &ada, &["username"]).await.unwrap();
    assert_eq!(users.auth.requests().len(), 1);
}

#[tokio::test]
async fn a_user_is_deleted_restored_and_purged_together_with_the_account() {
    let mut users = Users::new().await;
    let (ada, superuser) = (users.ada.clone(), users.superuser.clone());
    users.delete(&ada, &ada).await.unwrap();
    assert!(!users.is_there(&ada).await);
    assert_eq!(users.auth.requests(), [format!("close {}", ada.id)]);
    let again = users.delete(&superuser, &ada).await.unwrap_err();
    assert_eq!(refusal(again), because(Code::NotFound, "USER_NOT_FOUND"));

    let restored = users.restore(&ada).await.unwrap();
    assert_eq!((restored.username.as_str(), restored.deleted_at), ("ada", None));
    assert!(users.is_there(&ada).await);
    assert_eq!(users.auth.requests(), [format!("reopen {}", ada.id)]);
    let again = users.restore(&ada).await.unwrap_err();
    assert_eq!(refusal(again), because(Code::NotFound, "USER_NOT_FOUND"));

    users.delete(&superuser, &ada).await.unwrap();
    users.purge(&ada).await.unwrap();
    assert_eq!(users.auth.requests()[1], format!("purge {}", ada.id));
    let gone = users.restore(&ada).await.unwrap_err();
    assert_eq!(refusal(gone), because(Code::NotFound, "USER_NOT_FOUND"));
    let gone = users.purge(&ada).await.unwrap_err();
    assert_eq!(refusal(gone), because(Code::NotFound, "USER_NOT_FOUND"));
    assert!(users.auth.requests().is_empty());
}

#[tokio::test]
async fn whoever_was_deleted_long_ago_is_purged_together_with_the_account() {
    let mut users = Users::new().await;
    let (ada, superuser) = (users.ada.clone(), users.superuser.clone());
    users.delete(&superuser, &ada).await.unwrap();
    users.auth.requests();
    let now = users.clock.now();

    let kept = users.purge_deleted(now - Duration::from_secs(60), 100).await.unwrap();
    assert_eq!((kept, users.auth.requests()), (0, vec![]), "not that long ago");
    let purged = users.purge_deleted(now + Duration::from_secs(60), 100).await.unwrap();
    assert_eq!((purged, users.auth.requests()), (1, vec![format!("purge {}", ada.id)]));
    assert!(users.is_there(&superuser).await, "nobody is purged who is not deleted");

    let wrong = users.purge_deleted(now, 0).await.unwrap_err();
    assert_eq!(refusal(wrong), because(Code::InvalidArgument, "VALIDATION_FAILED"));
}

#[tokio::test]
async fn what_auth_does_not_confirm_is_rolled_back_and_can_be_requested_again() {
    let mut users = Users::new().await;
    let (ada, superuser) = (users.ada.clone(), users.superuser.clone());
    let last = Mood::Refuses(Code::FailedPrecondition, Reason::LastSuperuser);

    users.auth.set(last.clone());
    let status = users.delete(&superuser, &superuser).await.unwrap_err();
    assert_eq!(refusal(status), because(Code::FailedPrecondition, "LAST_SUPERUSER"));
    let status = users.purge(&superuser).await.unwrap_err();
    assert_eq!(refusal(status), because(Code::FailedPrecondition, "LAST_SUPERUSER"));
    assert!(users.is_there(&superuser).await);

    users.auth.set(Mood::Away);
    let away = because(Code::Unavailable, "UNAVAILABLE");
    assert_eq!(refusal(users.delete(&ada, &ada).await.unwrap_err()), away);
    assert_eq!(refusal(users.purge(&ada).await.unwrap_err()), away);
    assert!(users.is_there(&ada).await);

    users.auth.set(Mood::Willing);
    users.delete(&ada, &ada).await.unwrap();
    users.auth.set(Mood::Away);
    assert_eq!(refusal(users.restore(&ada).await.unwrap_err()), away);
    assert!(!users.is_there(&ada).await);
    users.auth.set(Mood::Willing);
    users.restore(&ada).await.unwrap();
    assert!(users.is_there(&ada).await);
}

#[tokio::test]
async fn an_account_that_is_gone_already_hinders_no_deletion() {
    let mut users = Users::new().await;
    let ada = users.ada.clone();
    users.auth.set(Mood::Refuses(Code::NotFound, Reason::AccountNotFound));
    users.delete(&ada, &ada).await.unwrap();
    assert!(!users.is_there(&ada).await);
    // There is nobody to come back.
    let status = users.restore(&ada).await.unwrap_err();
    assert_eq!(refusal(status), because(Code::NotFound, "USER_NOT_FOUND"));
}

#[tokio::test]
async fn an_auth_service_that_does_not_answer_holds_nobody_up_for_long() {
    let mut users = Users::new().await;
    let ada = users.ada.clone();
    users.auth.set(Mood::Late);

    // A caller in a hurry meets their own deadline.
    let mut hurried = delete(&ada, &ada);
    hurried.set_timeout(Duration::from_millis(200));
    let status = users.client.delete_user(hurried).await.unwrap_err();
    assert_eq!(refusal(status), because(Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));

    // For one who has time, auth is away, and the store's writer is free again before others give
    // up on it.
    let mut deleting = users.client.clone();
    let request = delete(&ada, &ada);
    let deleting = tokio::spawn(async move { deleting.delete_user(request).await });
    users.auth.reached().await;
    users.auth.reached().await;
    users.join("bob").await;
    let status = deleting.await.unwrap().unwrap_err();
    assert_eq!(refusal(status), because(Code::Unavailable, "UNAVAILABLE"));
    assert!(users.is_there(&ada).await);
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_no_change_half_done() {
    let mut users = Users::new().await;
    let ada = users.ada.clone();
    users.auth.set(Mood::Waiting);
    let mut client = users.client.clone();
    let request = delete(&ada, &ada);
    let deleting = tokio::spawn(async move { client.delete_user(request).await });
    users.auth.reached().await;
    deleting.abort();
    assert!(deleting.await.unwrap_err().is_cancelled());
    users.auth.release();
    let gone = async {
        while users.is_there(&ada).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
}
