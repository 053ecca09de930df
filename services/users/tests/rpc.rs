//! The RPCs as a client meets them: over gRPC, through the access layer, with an auth service that
//! a test controls.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "rpc/accounts.rs"]
mod accounts;
#[path = "rpc/fake_auth.rs"]
mod fake_auth;
#[path = "rpc/profiles.rs"]
mod profiles;
#[path = "rpc/tiers.rs"]
mod tiers;
#[path = "rpc/users.rs"]
mod users;

use quartet_clock::Clock;
use quartet_proto::users::v1 as pb;
use quartet_proto::users::v1::tier_service_client::TierServiceClient;
use quartet_proto::users::v1::upkeep_service_client::UpkeepServiceClient;
use quartet_proto::users::v1::user_service_client::UserServiceClient;
use quartet_rpc::Upstream;
use quartet_rpc::failure::reason_of;
use quartet_testkit::database::{self, Fresh};
use quartet_testkit::identity::{Identity, service_request};
use quartet_testkit::stack;
use quartet_users::{Config, Deps, PACKAGES, build};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use fake_auth::FakeAuth;

struct Users {
    client: UserServiceClient<Upstream>,
    tiers: TierServiceClient<Upstream>,
    upkeep: UpkeepServiceClient<Upstream>,
    auth: FakeAuth,
    clock: Clock,
    /// A user who is there, as all that [`Users::join`] makes.
    ada: Identity,
    superuser: Identity,
    _fresh: Fresh,
}

impl Users {
    async fn new() -> Self {
        let fresh = database::sqlite().await;
        let setting = fresh.setting();
        let config = Config::read(&quartet_config::Source::of([("USERS_DATABASE_URL", setting.as_str())])).unwrap();
        let clock = Clock::manual(time::macros::datetime!(2026-01-01 00:00 UTC));

        let auth = FakeAuth::default();
        let auth_host = stack::host("auth", &clock, Upstream::local("auth").0);
        let auth_upstream = stack::upstream(&auth_host, &["quartet.auth.v1"], &auth).await;

        let host = stack::host("users", &clock, auth_upstream);
        let deps = Deps {
            clock: clock.clone(),
            auth: host.auth(),
            broker: None,
            cache: quartet_cache::Cache::none(),
        };
        let service = build(config, deps).await.unwrap();
        let upstream = stack::upstream(&host, PACKAGES, &service).await;
        let mut users = Self {
            client: UserServiceClient::new(upstream.clone()),
            tiers: TierServiceClient::new(upstream.clone()),
            upkeep: UpkeepServiceClient::new(upstream),
            auth,
            ada: Identity::user(&clock),
            superuser: Identity::superuser(&clock),
            clock,
            _fresh: fresh,
        };
        users.ensure(&users.ada.clone(), "ada", pb::UserRole::RoleUser).await;
        users
            .ensure(&users.superuser.clone(), "root", pb::UserRole::RoleSuperuser)
            .await;
        users
    }

    /// Another user who is there.
    async fn join(&mut self, username: &str) -> Identity {
        let identity = Identity::user(&self.clock);
        self.ensure(&identity, username, pb::UserRole::RoleUser).await;
        identity
    }

    /// What auth sends of an account; the name of the user's tier.
    async fn ensure(&mut self, who: &Identity, username: &str, role: pb::UserRole) -> Option<String> {
        let message = pb::EnsureUserRequest {
            account_id: who.id.to_string(),
            name: String::new(),
            username: username.into(),
            email: format!("{username}@example.org"),
            role: role.into(),
            account_updated_at: None,
        };
        let request = service_request("auth", &self.clock, message);
        self.client.ensure_user(request).await.unwrap().into_inner().tier
    }

    async fn get(&mut self, viewer: &Identity, user: &Identity) -> Result<pb::User, Status> {
        let get = pb::GetUserRequest {
            user_id: user.id.to_string(),
        };
        self.client
            .get_user(viewer.request(get))
            .await
            .map(tonic::Response::into_inner)
    }
}

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask {
        paths: paths.iter().map(ToString::to_string).collect(),
    })
}

/// The code and the reason of a refusal.
fn refusal(status: Status) -> (Code, String) {
    (status.code(), reason_of(&status).unwrap_or_default())
}

fn because(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

/// The fields that a refusal names, with the rules that they break.
fn broken(status: &Status) -> Vec<(String, String)> {
    let bad = status.get_details_bad_request();
    bad.map(|bad| bad.field_violations)
        .unwrap_or_default()
        .into_iter()
        .map(|field| (field.field, field.reason))
        .collect()
}

fn breaks(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(field, rule)| (field.to_string(), rule.to_string()))
        .collect()
}
