//! Users as others see them, and as auth sends them.

use quartet_proto::users::v1 as pb;
use quartet_testkit::identity::{Identity, service_request};
use tonic::{Code, Request};

use super::{Users, because, breaks, broken, mask, refusal};

#[tokio::test]
async fn an_address_a_user_name_and_a_role_are_for_their_owner_and_superusers() {
    let mut users = Users::new().await;
    let (ada, bob, superuser) = (users.ada.clone(), users.join("bob").await, users.superuser.clone());
    assert_eq!(
        users.get(&ada, &ada).await.unwrap().email.as_deref(),
        Some("ada@example.org")
    );
    assert_eq!(
        users.get(&superuser, &ada).await.unwrap().email.as_deref(),
        Some("ada@example.org")
    );
    let seen = users.get(&bob, &ada).await.unwrap();
    assert_eq!(
        (
            seen.username.as_str(),
            seen.name.as_str(),
            seen.email.as_deref(),
            seen.role
        ),
        ("", "ada", None, pb::UserRole::RoleUnspecified as i32)
    );
    let shown = users.get(&superuser, &ada).await.unwrap();
    assert_eq!((shown.username.as_str(), shown.role()), ("ada", pb::UserRole::RoleUser));

    let list = async |viewer: &Identity, users: &mut Users| {
        let list = users
            .client
            .list_users(viewer.request(pb::ListUsersRequest::default()))
            .await;
        let mut seen = list.unwrap().into_inner().data;
        seen.retain(|user| user.email.is_some());
        seen.len()
    };
    assert_eq!(list(&bob, &mut users).await, 1);
    assert_eq!(list(&superuser, &mut users).await, 3);
}

#[tokio::test]
async fn a_user_is_found_by_id_by_name_and_as_oneself() {
    let mut users = Users::new().await;
    let ada = users.ada.clone();
    let by_id = users.get(&ada, &ada).await.unwrap();
    let me = users.client.get_me(ada.request(pb::GetMeRequest {})).await;
    assert_eq!(me.unwrap().into_inner(), by_id);
    let by_name = async |username: &str, users: &mut Users| {
        let get = pb::GetUserByUsernameRequest {
            username: username.into(),
        };
        let found = users.client.get_user_by_username(ada.request(get)).await;
        found.map(tonic::Response::into_inner)
    };
    assert_eq!(by_name("ada", &mut users).await.unwrap(), by_id);
    for nobodys in ["bob", "Ada", "ad a", "a", "a\0b", "%"] {
        let status = by_name(nobodys, &mut users).await.unwrap_err();
        assert_eq!(
            refusal(status),
            because(Code::NotFound, "USER_NOT_FOUND"),
            "{nobodys:?}"
        );
    }
    for (wrong, rule) in [("", "REQUIRED"), (&*"x".repeat(21), "STRING_MAX_LEN")] {
        let status = by_name(wrong, &mut users).await.unwrap_err();
        assert_eq!(broken(&status), breaks(&[("username", rule)]));
    }

    let stranger = Identity::user(&users.clock);
    let status = users
        .client
        .get_me(stranger.request(pb::GetMeRequest {}))
        .await
        .unwrap_err();
    assert_eq!(refusal(status), because(Code::NotFound, "USER_NOT_FOUND"));
    let wrong = pb::GetUserRequest { user_id: "ada".into() };
    let status = users.client.get_user(ada.request(wrong)).await.unwrap_err();
    assert_eq!(broken(&status), breaks(&[("user_id", "STRING_UUID")]));
}

#[tokio::test]
async fn deleted_users_are_for_superusers_to_list() {
    let mut users = Users::new().await;
    let (ada, bob, superuser) = (users.ada.clone(), users.join("bob").await, users.superuser.clone());
    let delete = pb::DeleteUserRequest {
        user_id: bob.id.to_string(),
        etag: String::new(),
    };
    users.client.delete_user(bob.request(delete)).await.unwrap();
    let deleted = || pb::ListUsersRequest {
        deleted: true,
        ..Default::default()
    };
    let status = users.client.list_users(ada.request(deleted())).await.unwrap_err();
    assert_eq!(refusal(status), because(Code::PermissionDenied, "PERMISSION_DENIED"));
    let list = users.client.list_users(superuser.request(deleted())).await.unwrap();
    let list = list.into_inner();
    assert_eq!((list.total_count, list.data[0].username.as_str()), (1, "bob"));
    assert!(list.data[0].deleted_at.is_some());
    let there = users
        .client
        .list_users(ada.request(pb::ListUsersRequest::default()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(there.total_count, 2);
}

#[tokio::test]
async fn a_page_token_belongs_to_its_list() {
    let mut users = Users::new().await;
    let (ada, superuser) = (users.ada.clone(), users.superuser.clone());
    users.join("bob").await;
    let page = |page_token: &str, deleted: bool| pb::ListUsersRequest {
        page_size: Some(2),
        page_token: page_token.into(),
        deleted,
        ..Default::default()
    };
    let first = users
        .client
        .list_users(ada.request(page("", false)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (first.data.len(), first.total_count, first.has_more, first.page),
        (2, 3, true, 1)
    );
    let token = first.next_page_token;
    let second = users
        .client
        .list_users(ada.request(page(&token, false)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            second.data[0].username.as_str(),
            second.data.len(),
            second.has_more,
            second.page
        ),
        ("ada", 1, false, 0)
    );
    for (token, deleted) in [(&*token, true), ("nonsense", false)] {
        let status = users
            .client
            .list_users(superuser.request(page(token, deleted)))
            .await
            .unwrap_err();
        assert_eq!(broken(&status), breaks(&[("page_token", "PAGE_TOKEN")]));
    }
    let wrong = pb::ListUsersRequest {
        page: Some(0),
        items_per_page: Some(101),
        ..Default::default()
    };
    let status = users.client.list_users(ada.request(wrong)).await.unwrap_err();
    assert_eq!(
        broken(&status),
        breaks(&[("items_per_page", "INT32_RANGE"), ("page", "INT32_RANGE")])
    );
}

#[tokio::test]
async fn every_broken_field_of_an_edit_is_named_at_once() {
    let mut users = Users::new().await;
    let ada = users.ada.clone();
    let wrong = pb::UpdateUserRequest {
        user_id: ada.id.to_string(),
        user: Some(pb::UserEdit {
            name: "A".into(),
            username: "Ada!".into(),
            email: "ada@localhost".into(),
            profile_image_url: "javascript:alert(1)".into(),
        }),
        update_mask: None,
        etag: String::new(),
    };
    let status = users.client.update_user(ada.request(wrong)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        broken(&status),
        breaks(&[
            ("user.name", "STRING_MIN_LEN"),
            ("user.username", "STRING_PATTERN"),
            ("user.email", "STRING_EMAIL"),
            ("user.profile_image_url", "STRING_URI"),
        ])
    );
    let unknown = pb::UpdateUserRequest {
        user_id: "nonsense".into(),
        user: None,
        update_mask: mask(&["role"]),
        etag: String::new(),
    };
    let status = users.client.update_user(ada.request(unknown)).await.unwrap_err();
    assert_eq!(
        broken(&status),
        breaks(&[("user_id", "STRING_UUID"), ("update_mask", "UNKNOWN_FIELD")])
    );
    assert!(users.auth.requests().is_empty());
}

#[tokio::test]
async fn a_picture_can_be_taken_away() {
    let mut users = Users::new().await;
    let ada = users.ada.clone();
    for url in ["https://example.org/ada.png", ""] {
        let edit = pb::UpdateUserRequest {
            user_id: ada.id.to_string(),
            user: Some(pb::UserEdit {
                profile_image_url: url.into(),
                ..Default::default()
            }),
            update_mask: mask(&["profile_image_url"]),
            etag: String::new(),
        };
        let updated = users.client.update_user(ada.request(edit)).await.unwrap();
        assert_eq!(updated.into_inner().profile_image_url, url);
    }
}

#[tokio::test]
async fn only_services_ensure_users_and_only_superusers_administer() {
    let mut users = Users::new().await;
    let (ada, superuser) = (users.ada.clone(), users.superuser.clone());
    let ensure = || pb::EnsureUserRequest::default();
    let denied = because(Code::PermissionDenied, "PERMISSION_DENIED");
    for identity in [&ada, &superuser] {
        let status = users.client.ensure_user(identity.request(ensure())).await.unwrap_err();
        assert_eq!(refusal(status), denied);
    }
    let status = users.client.ensure_user(Request::new(ensure())).await.unwrap_err();
    assert_eq!(refusal(status), because(Code::Unauthenticated, "TOKEN_MISSING"));

    let user_id = ada.id.to_string();
    let purge = pb::PurgeUserRequest {
        user_id: user_id.clone(),
        etag: String::new(),
    };
    assert_eq!(
        refusal(users.client.purge_user(ada.request(purge)).await.unwrap_err()),
        denied
    );
    let restore = pb::RestoreUserRequest {
        user_id: user_id.clone(),
        etag: String::new(),
    };
    assert_eq!(
        refusal(users.client.restore_user(ada.request(restore)).await.unwrap_err()),
        denied
    );
    let tier = pb::SetUserTierRequest {
        user_id,
        tier: None,
        etag: String::new(),
    };
    assert_eq!(
        refusal(users.client.set_user_tier(ada.request(tier)).await.unwrap_err()),
        denied
    );
}

#[tokio::test]
async fn what_auth_tells_is_checked_too() {
    let mut users = Users::new().await;
    let wrong = pb::EnsureUserRequest {
        account_id: "nonsense".into(),
        name: "A".into(),
        username: String::new(),
        email: "nonsense".into(),
        role: 9,
        account_updated_at: None,
    };
    let request = service_request("auth", &users.clock, wrong);
    let status = users.client.ensure_user(request).await.unwrap_err();
    assert_eq!(
        broken(&status),
        breaks(&[
            ("account_id", "STRING_UUID"),
            ("name", "STRING_MIN_LEN"),
            ("username", "REQUIRED"),
            ("email", "STRING_EMAIL"),
            ("role", "ENUM_DEFINED_ONLY"),
        ])
    );
}
