//! Users, profiles, tiers and rate limits.

use serde_json::{Value as Json, json};

use super::scenarios;
use crate::cluster::{Cluster, text};

scenarios! {
    "UserService/ListUsers": |cluster| {
        cluster.person().await;
        (cluster.person().await.token, json!({"page_size": 1}))
    };
    "UserService/ListUsers, next page": |cluster| {
        cluster.person().await;
        let person = cluster.person().await;
        let first = cluster.call("UserService/ListUsers", &person.token, json!({"page_size": 1})).await;
        (person.token, json!({"page_size": 1, "page_token": first["next_page_token"]}))
    };
    "UserService/ListUsers, filtered": |cluster| {
        let name = cluster.person().await.username;
        (cluster.superuser.clone(), json!({"name": name, "email": name}))
    };
    "UserService/CreateUser": |cluster| {
        let name = cluster.name();
        let (email, password) = (format!("{name}@example.org"), "a sentence that is long enough");
        (cluster.superuser.clone(), json!({"username": name, "email": email, "password": password}))
    };
    "UserService/GetUser": |cluster| {
        let person = cluster.person().await;
        (person.token, json!({"user_id": person.id}))
    };
    "UserService/GetUserByUsername": |cluster| {
        let person = cluster.person().await;
        (person.token, json!({"username": person.username}))
    };
    "UserService/GetMe": |cluster| (cluster.person().await.token, json!({}));
    "UserService/UpdateUser": |cluster| {
        let person = cluster.person().await;
        (person.token, json!({"user_id": person.id, "user": {"name": "Countess"}, "update_mask": "name"}))
    };
    "UserService/UpdateUser, user name": |cluster| {
        let person = cluster.person().await;
        let user = json!({"username": cluster.name()});
        (person.token, json!({"user_id": person.id, "user": user, "update_mask": "username"}))
    };
    "UserService/DeleteUser": |cluster| {
        let person = cluster.person().await;
        (person.token, json!({"user_id": person.id}))
    };
    "UserService/RestoreUser": |cluster| {
        let person = cluster.person().await;
        let user = json!({"user_id": person.id});
        cluster.call("UserService/DeleteUser", &person.token, user.clone()).await;
        (cluster.superuser.clone(), user)
    };
    "UserService/PurgeUser": |cluster| {
        let person = cluster.person().await;
        (cluster.superuser.clone(), json!({"user_id": person.id}))
    };
    "UserService/GetProfile": |cluster| {
        let person = cluster.person().await;
        cluster.call("UserService/UpdateProfile", &person.token, profile(&person.id)).await;
        (person.token, json!({"user_id": person.id}))
    };
    "UserService/UpdateProfile": |cluster| {
        let person = cluster.person().await;
        let message = profile(&person.id);
        (person.token, message)
    };
    "UserService/DeleteProfile": |cluster| {
        let person = cluster.person().await;
        cluster.call("UserService/UpdateProfile", &person.token, profile(&person.id)).await;
        (person.token, json!({"user_id": person.id}))
    };
    "UserService/GetUserTier": |cluster| {
        let (person, _) = member(cluster).await;
        (person.token, json!({"user_id": person.id}))
    };
    "UserService/SetUserTier": |cluster| {
        let (person, tier) = (cluster.person().await, tier(cluster).await);
        (cluster.superuser.clone(), json!({"user_id": person.id, "tier": tier}))
    };
    "UserService/ListUserRateLimits": |cluster| {
        let (person, tier) = member(cluster).await;
        rate_limit(cluster, &tier).await;
        (person.token, json!({"user_id": person.id}))
    };
    "UserService/EnsureUser": |cluster| {
        let account = account(cluster);
        cluster.call("UserService/EnsureUser", &cluster.service, account.clone()).await;
        (cluster.service.clone(), account)
    };
    "UserService/EnsureUser, new": |cluster| (cluster.service.clone(), account(cluster));
    "TierService/ListTiers": |cluster| {
        tier(cluster).await;
        tier(cluster).await;
        (cluster.superuser.clone(), json!({"page_size": 1}))
    };
    "TierService/ListTiers, next page": |cluster| {
        tier(cluster).await;
        tier(cluster).await;
        let first = cluster.call("TierService/ListTiers", &cluster.superuser, json!({"page_size": 1})).await;
        (cluster.superuser.clone(), json!({"page_size": 1, "page_token": first["next_page_token"]}))
    };
    "TierService/GetTier": |cluster| (cluster.superuser.clone(), json!({"name": tier(cluster).await}));
    "TierService/CreateTier": |cluster| (cluster.superuser.clone(), json!({"name": cluster.name()}));
    "TierService/UpdateTier": |cluster| {
        let (_, tier) = member(cluster).await;
        let message = json!({"name": tier, "tier": {"name": cluster.name()}, "update_mask": "name"});
        (cluster.superuser.clone(), message)
    };
    "TierService/DeleteTier": |cluster| {
        let (_, tier) = member(cluster).await;
        (cluster.superuser.clone(), json!({"name": tier}))
    };
    "TierService/ListRateLimits": |cluster| {
        let tier = tier(cluster).await;
        rate_limit(cluster, &tier).await;
        (cluster.superuser.clone(), json!({"tier_name": tier}))
    };
    "TierService/GetRateLimit": |cluster| {
        let tier = tier(cluster).await;
        let id = rate_limit(cluster, &tier).await;
        (cluster.superuser.clone(), json!({"tier_name": tier, "rate_limit_id": id}))
    };
    "TierService/CreateRateLimit": |cluster| {
        let tier = tier(cluster).await;
        (cluster.superuser.clone(), new_rate_limit(&tier))
    };
    "TierService/UpdateRateLimit": |cluster| {
        let tier = tier(cluster).await;
        let id = rate_limit(cluster, &tier).await;
        let message = json!({
            "tier_name": tier,
            "rate_limit_id": id,
            "rate_limit": {"limit": 20},
            "update_mask": "limit",
        });
        (cluster.superuser.clone(), message)
    };
    "TierService/WatchRateLimits": |cluster| (cluster.service.clone(), json!({}));
    "TierService/DeleteRateLimit": |cluster| {
        let tier = tier(cluster).await;
        let id = rate_limit(cluster, &tier).await;
        (cluster.superuser.clone(), json!({"tier_name": tier, "rate_limit_id": id}))
    };
    "UpkeepService/PurgeDeletedUsers": |cluster| {
        // Those of other scenarios go first.
        let all = json!({"deleted_before": "2100-01-01T00:00:00Z", "limit": 100});
        cluster.call("UpkeepService/PurgeDeletedUsers", &cluster.service, all.clone()).await;
        let person = cluster.person().await;
        cluster.call("UserService/DeleteUser", &person.token, json!({"user_id": person.id})).await;
        (cluster.service.clone(), all)
    };
}

fn profile(user_id: &str) -> Json {
    json!({"user_id": user_id, "profile": {"bio": "Countess"}, "update_mask": "bio"})
}

fn account(cluster: &Cluster) -> Json {
    let username = cluster.name();
    json!({
        "account_id": cluster.id(),
        "username": username,
        "email": format!("{username}@example.org"),
        "role": "ROLE_USER",
        "account_updated_at": "2026-01-01T00:00:00Z",
    })
}

/// A new tier; its name.
async fn tier(cluster: &Cluster) -> String {
    let tier = cluster
        .call(
            "TierService/CreateTier",
            &cluster.superuser,
            json!({"name": cluster.name()}),
        )
        .await;
    text(&tier["name"])
}

/// Somebody new with a tier of their own.
async fn member(cluster: &Cluster) -> (crate::cluster::Person, String) {
    let (person, tier) = (cluster.person().await, tier(cluster).await);
    let message = json!({"user_id": person.id, "tier": tier});
    cluster
        .call("UserService/SetUserTier", &cluster.superuser, message)
        .await;
    (person, tier)
}

fn new_rate_limit(tier: &str) -> Json {
    json!({"tier_name": tier, "name": "todos", "path": "/api/v1/todos", "limit": 10, "period": 60})
}

/// A new rate limit of the tier; its id.
async fn rate_limit(cluster: &Cluster, tier: &str) -> String {
    let limit = cluster
        .call("TierService/CreateRateLimit", &cluster.superuser, new_rate_limit(tier))
        .await;
    text(&limit["id"])
}
