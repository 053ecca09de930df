//! Tiers and rate limits: everybody's to read, superusers' to write.

use quartet_proto::users::v1 as pb;
use quartet_testkit::identity::Identity;
use tonic::{Code, Status};

use super::{Users, because, breaks, broken, mask, refusal};

impl Users {
    async fn create_tier(&mut self, name: &str) -> Result<pb::Tier, Status> {
        let create = pb::CreateTierRequest { name: name.into() };
        self.tiers
            .create_tier(self.superuser.request(create))
            .await
            .map(tonic::Response::into_inner)
    }

    async fn limit(&mut self, tier_name: &str, name: &str, path: &str) -> Result<pb::RateLimit, Status> {
        let create = pb::CreateRateLimitRequest {
            tier_name: tier_name.into(),
            name: name.into(),
            path: path.into(),
            limit: 10,
            period: 60,
        };
        self.tiers
            .create_rate_limit(self.superuser.request(create))
            .await
            .map(tonic::Response::into_inner)
    }

    async fn give(&mut self, who: &Identity, tier: Option<&str>) -> Result<pb::User, Status> {
        let set = pb::SetUserTierRequest {
            user_id: who.id.to_string(),
            tier: tier.map(Into::into),
            etag: String::new(),
        };
        self.client
            .set_user_tier(self.superuser.request(set))
            .await
            .map(tonic::Response::into_inner)
    }
}

#[tokio::test]
async fn a_tier_is_made_read_renamed_and_deleted() {
    let mut users = Users::new().await;
    let (ada, superuser) = (users.ada.clone(), users.superuser.clone());
    let made = users.create_tier("free").await.unwrap();
    let taken = users.create_tier("free").await.unwrap_err();
    assert_eq!(refusal(taken), because(Code::AlreadyExists, "TIER_NAME_TAKEN"));
    let get = |name: &str| ada.request(pb::GetTierRequest { name: name.into() });
    assert_eq!(users.tiers.get_tier(get("free")).await.unwrap().into_inner(), made);

    users.create_tier("pro").await.unwrap();
    let rename = |from: &str, to: &str| {
        superuser.request(pb::UpdateTierRequest {
            name: from.into(),
            tier: Some(pb::TierEdit { name: to.into() }),
            update_mask: mask(&["name"]),
            etag: String::new(),
        })
    };
    let taken = users.tiers.update_tier(rename("free", "pro")).await.unwrap_err();
    assert_eq!(refusal(taken), because(Code::AlreadyExists, "TIER_NAME_TAKEN"));
    let renamed = users.tiers.update_tier(rename("free", "basic")).await.unwrap();
    let renamed = renamed.into_inner();
    assert_eq!((renamed.name.as_str(), &renamed.id), ("basic", &made.id));
    let missing = users.tiers.update_tier(rename("free", "gold")).await.unwrap_err();
    assert_eq!(refusal(missing), because(Code::NotFound, "TIER_NOT_FOUND"));

    let delete = || {
        superuser.request(pb::DeleteTierRequest {
            name: "basic".into(),
            etag: String::new(),
        })
    };
    users.tiers.delete_tier(delete()).await.unwrap();
    let missing = users.tiers.delete_tier(delete()).await.unwrap_err();
    assert_eq!(refusal(missing), because(Code::NotFound, "TIER_NOT_FOUND"));
    for name in ["basic", "Basic", "no such", "a\0b"] {
        let missing = users.tiers.get_tier(get(name)).await.unwrap_err();
        assert_eq!(refusal(missing), because(Code::NotFound, "TIER_NOT_FOUND"), "{name:?}");
    }
    let list = users
        .tiers
        .list_tiers(ada.request(pb::ListTiersRequest::default()))
        .await;
    let list = list.unwrap().into_inner();
    assert_eq!((list.total_count, list.data[0].name.as_str()), (1, "pro"));
}

#[tokio::test]
async fn only_superusers_write_tiers_and_limits() {
    let mut users = Users::new().await;
    let ada = users.ada.clone();
    users.create_tier("free").await.unwrap();
    let id = users.limit("free", "todos", "/api/v1/todos").await.unwrap().id;
    let name = || "free".to_owned();
    let refusals = [
        users
            .tiers
            .create_tier(ada.request(pb::CreateTierRequest { name: "mine".into() }))
            .await
            .err(),
        users
            .tiers
            .update_tier(ada.request(pb::UpdateTierRequest {
                name: name(),
                ..Default::default()
            }))
            .await
            .err(),
        users
            .tiers
            .delete_tier(ada.request(pb::DeleteTierRequest {
                name: name(),
                etag: String::new(),
            }))
            .await
            .err(),
        users
            .tiers
            .create_rate_limit(ada.request(pb::CreateRateLimitRequest {
                tier_name: name(),
                ..Default::default()
            }))
            .await
            .err(),
        users
            .tiers
            .update_rate_limit(ada.request(pb::UpdateRateLimitRequest {
                tier_name: name(),
                rate_limit_id: id.clone(),
                ..Default::default()
            }))
            .await
            .err(),
        users
            .tiers
            .delete_rate_limit(ada.request(pb::DeleteRateLimitRequest {
                tier_name: name(),
                rate_limit_id: id.clone(),
                etag: String::new(),
            }))
            .await
            .err(),
    ];
    for status in refusals {
        assert_eq!(
            refusal(status.unwrap()),
            because(Code::PermissionDenied, "PERMISSION_DENIED")
        );
    }
    let get = pb::GetRateLimitRequest {
        tier_name: name(),
        rate_limit_id: id,
    };
    users.tiers.get_rate_limit(ada.request(get)).await.unwrap();
}

#[tokio::test]
async fn a_tier_reaches_its_users_and_their_next_token() {
    let mut users = Users::new().await;
    let (ada, bob) = (users.ada.clone(), users.join("bob").await);
    users.create_tier("pro").await.unwrap();
    users.limit("pro", "todos", "/api/v1/todos").await.unwrap();
    let own_tier = |by: &Identity| {
        by.request(pb::GetUserTierRequest {
            user_id: ada.id.to_string(),
        })
    };
    let own_limits = |by: &Identity| {
        by.request(pb::ListUserRateLimitsRequest {
            user_id: ada.id.to_string(),
            ..Default::default()
        })
    };
    let none = users.client.get_user_tier(own_tier(&ada)).await.unwrap_err();
    assert_eq!(refusal(none), because(Code::NotFound, "TIER_NOT_FOUND"));
    let limits = users.client.list_user_rate_limits(own_limits(&ada)).await.unwrap();
    assert!(limits.into_inner().data.is_empty());

    let given = users.give(&ada, Some("pro")).await.unwrap();
    assert_eq!(given.tier(), "pro");
    assert_eq!(
        users.ensure(&ada, "ada", pb::UserRole::RoleUser).await.as_deref(),
        Some("pro")
    );
    let tier = users.client.get_user_tier(own_tier(&ada)).await.unwrap();
    assert_eq!(tier.into_inner().name, "pro");
    let limits = users.client.list_user_rate_limits(own_limits(&ada)).await.unwrap();
    assert_eq!(limits.into_inner().data[0].path, "/api/v1/todos");

    let other = users.client.get_user_tier(own_tier(&bob)).await.unwrap_err();
    assert_eq!(refusal(other), because(Code::PermissionDenied, "NOT_YOUR_USER"));
    let other = users.client.list_user_rate_limits(own_limits(&bob)).await.unwrap_err();
    assert_eq!(refusal(other), because(Code::PermissionDenied, "NOT_YOUR_USER"));

    let missing = users.give(&ada, Some("gold")).await.unwrap_err();
    assert_eq!(refusal(missing), because(Code::NotFound, "TIER_NOT_FOUND"));
    let nobody = Identity::user(&users.clock);
    let missing = users.give(&nobody, Some("pro")).await.unwrap_err();
    assert_eq!(refusal(missing), because(Code::NotFound, "USER_NOT_FOUND"));
    assert_eq!(users.give(&ada, None).await.unwrap().tier, None);
    assert_eq!(users.ensure(&ada, "ada", pb::UserRole::RoleUser).await, None);
}

#[tokio::test]
async fn limits_are_unique_and_change_by_mask() {
    let mut users = Users::new().await;
    let superuser = users.superuser.clone();
    users.create_tier("free").await.unwrap();
    let made = users.limit("free", "todos", "/api/v1/todos").await.unwrap();
    let exists = users.limit("free", "other", "/api/v1/todos").await.unwrap_err();
    assert_eq!(refusal(exists), because(Code::AlreadyExists, "RATE_LIMIT_EXISTS"));
    let taken = users.limit("free", "todos", "/api/v1/tags").await.unwrap_err();
    assert_eq!(refusal(taken), because(Code::AlreadyExists, "RATE_LIMIT_NAME_TAKEN"));
    let nowhere = users.limit("gold", "todos", "/api/v1/todos").await.unwrap_err();
    assert_eq!(refusal(nowhere), because(Code::NotFound, "TIER_NOT_FOUND"));

    let update = |edit: pb::RateLimitEdit, paths: &[&str]| {
        superuser.request(pb::UpdateRateLimitRequest {
            tier_name: "free".into(),
            rate_limit_id: made.id.clone(),
            rate_limit: Some(edit),
            update_mask: mask(paths),
            etag: String::new(),
        })
    };
    let edit = pb::RateLimitEdit {
        limit: 99,
        ..Default::default()
    };
    let edited = users.tiers.update_rate_limit(update(edit.clone(), &["limit"])).await;
    let edited = edited.unwrap().into_inner();
    assert_eq!(
        (edited.limit, edited.period, edited.path.as_str(), edited.name.as_str()),
        (99, 60, "/api/v1/todos", "todos")
    );
    let status = users.tiers.update_rate_limit(update(edit, &[])).await.unwrap_err();
    assert_eq!(
        broken(&status),
        breaks(&[
            ("rate_limit.name", "REQUIRED"),
            ("rate_limit.path", "REQUIRED"),
            ("rate_limit.period", "REQUIRED"),
        ])
    );

    let delete = || {
        superuser.request(pb::DeleteRateLimitRequest {
            tier_name: "free".into(),
            rate_limit_id: made.id.clone(),
            etag: String::new(),
        })
    };
    users.tiers.delete_rate_limit(delete()).await.unwrap();
    let missing = users.tiers.delete_rate_limit(delete()).await.unwrap_err();
    assert_eq!(refusal(missing), because(Code::NotFound, "RATE_LIMIT_NOT_FOUND"));
    let list = pb::ListRateLimitsRequest {
        tier_name: "free".into(),
        ..Default::default()
    };
    let list = users.tiers.list_rate_limits(users.ada.request(list)).await.unwrap();
    assert!(list.into_inner().data.is_empty());
}

#[tokio::test]
async fn fields_that_break_their_rules_are_named() {
    let mut users = Users::new().await;
    let status = users.create_tier("Free tier").await.unwrap_err();
    assert_eq!(broken(&status), breaks(&[("name", "STRING_PATTERN")]));
    users.create_tier("free").await.unwrap();
    let wrong = pb::CreateRateLimitRequest {
        tier_name: "free".into(),
        name: " ".into(),
        path: "todos".into(),
        limit: 0,
        period: 86_401,
    };
    let request = users.superuser.request(wrong);
    let status = users.tiers.create_rate_limit(request).await.unwrap_err();
    assert_eq!(
        broken(&status),
        breaks(&[
            ("name", "REQUIRED"),
            ("path", "STRING_PATTERN"),
            ("limit", "REQUIRED"),
            ("period", "INT32_RANGE"),
        ])
    );
}
