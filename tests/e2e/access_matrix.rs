//! Access control: every method of the contracts, with every kind of caller, over gRPC to the
//! service itself and over REST.
//!
//! The cases are generated from the descriptors, so a new method cannot be forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use prost_reflect::{Kind, MessageDescriptor, MethodDescriptor};
use quartet_proto::descriptors;
use quartet_proto::options::{Access, FreshProof, access, fresh_proof};
use serde_json::json;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::jobs::ended;
use crate::todos::{create, create_tag};
use quartet_rpc::token::ServiceTokens;
use quartet_tests::app::eventually;
use quartet_tests::grpc::{call, reason};
use quartet_tests::message::{Known, is_own, valid};
use quartet_tests::suite::SERVICES;
use quartet_tests::{App, Person, on_every_topology, on_secured_topology, transcode};

on_every_topology!(
    every_method_admits_whom_its_policy_admits,
    every_method_hides_owned_resources_from_others
);

on_secured_topology!(
    every_method_admits_whom_its_policy_admits,
    every_method_hides_owned_resources_from_others,
);

/// Every method of the suite.
pub(crate) fn methods() -> impl Iterator<Item = MethodDescriptor> {
    let services = descriptors::pool()
        .services()
        .filter(|service| service.full_name().starts_with("quartet."));
    services.flat_map(|service| service.methods().collect::<Vec<_>>())
}

/// A channel to each service.
pub(crate) async fn channels(app: &App) -> BTreeMap<&'static str, Channel> {
    let mut channels = BTreeMap::new();
    for service in SERVICES {
        channels.insert(service, app.channel(service).await);
    }
    channels
}

/// The service that serves a method: `todos` for `quartet.todos.v1.TodoService/GetTodo`.
pub(crate) fn service(method: &MethodDescriptor) -> &'static str {
    let package = method.parent_file().package_name().to_owned();
    let name = package.split('.').nth(1).expect("a package has a service's name");
    SERVICES
        .into_iter()
        .find(|service| *service == name)
        .expect("the suite has the service")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Anonymous,
    User,
    Superuser,
    Service,
    Revoked,
    Forged,
}

const CALLERS: [Caller; 6] = [
    Caller::Anonymous,
    Caller::User,
    Caller::Superuser,
    Caller::Service,
    Caller::Revoked,
    Caller::Forged,
];

/// The failure of a caller who is refused; `None` for one who is admitted.
fn refusal(access: Access, caller: Caller) -> Option<(Code, &'static str)> {
    const DENIED: Option<(Code, &str)> = Some((Code::PermissionDenied, "PERMISSION_DENIED"));
    match (access, caller) {
        (Access::Public, _) => None,
        (_, Caller::Anonymous) => Some((Code::Unauthenticated, "TOKEN_MISSING")),
        (_, Caller::Revoked) => Some((Code::Unauthenticated, "TOKEN_REVOKED")),
        (_, Caller::Forged) => Some((Code::Unauthenticated, "TOKEN_INVALID")),
        (Access::User, Caller::User | Caller::Superuser) => None,
        (Access::Superuser, Caller::Superuser) => None,
        (Access::Service, Caller::Service) => None,
        (Access::User | Access::Superuser | Access::Service, Caller::User | Caller::Superuser | Caller::Service) => {
            DENIED
        }
        (Access::Unspecified, _) => DENIED,
    }
}

/// The callers of one run. Methods that end sessions are called too, so each method gets sessions
/// of its own.
struct Cast {
    user: Person,
    superuser: Person,
    service: ServiceTokens,
    revoked: String,
}

impl Cast {
    async fn new(app: &App, channels: &BTreeMap<&'static str, Channel>) -> Self {
        let revoked = app.register().await;
        revoked.post("/api/v1/auth/logout", json!({})).await.expect(204);
        eventually(
            Duration::from_secs(1),
            "every service enforces the logout",
            async || {
                for method in
                    methods().filter(|method| ["ListTodos", "ListUsers", "ListSessions"].contains(&method.name()))
                {
                    let message = valid(&method.input(), &Known::new());
                    call(
                        &channels[service(&method)],
                        &method,
                        &message,
                        Some(&revoked.access_token),
                    )
                    .await
                    .err()?;
                }
                Some(())
            },
        )
        .await;
        Self {
            user: app.register().await,
            superuser: app.superuser().await,
            service: app.service_tokens("quartet"),
            revoked: revoked.access_token.clone(),
        }
    }

    async fn token(&self, app: &App, caller: Caller) -> Option<String> {
        match caller {
            Caller::Anonymous => None,
            Caller::User => Some(app.login(&self.user).await.access_token.clone()),
            Caller::Superuser => Some(app.login(&self.superuser).await.access_token.clone()),
            Caller::Service => Some(self.service.current().expect("claims are signed")),
            Caller::Revoked => Some(self.revoked.clone()),
            Caller::Forged => Some(format!("{}x", self.superuser.access_token)),
        }
    }
}

async fn every_method_admits_whom_its_policy_admits(app: App) {
    let channels = channels(&app).await;
    let cast = Cast::new(&app, &channels).await;
    let mut wrong = Vec::new();
    let mut cases = 0;
    for method in methods() {
        let access = access(&method).expect("every method has a policy");
        for caller in CALLERS {
            let expected = refusal(access, caller);
            let message = valid(&method.input(), &Known::new());
            let token = cast.token(&app, caller).await;
            let outcome = call(&channels[service(&method)], &method, &message, token.as_deref()).await;
            cases += 1;
            if refused(&outcome) != expected {
                wrong.push(format!(
                    "{} as {caller:?} over gRPC: {}, expected {expected:?}",
                    method.full_name(),
                    describe(&outcome)
                ));
            }
            let Some(call) = transcode::call(&method, &message) else {
                continue;
            };
            let token = cast.token(&app, caller).await;
            let client = token.map_or_else(|| (*app).clone(), |token| app.with_token(&token));
            let request = client.call(call.method, &call.path);
            let request = if let Some(body) = &call.body {
                request.json(body)
            } else {
                request
            };
            let request = if method.is_server_streaming() {
                request.without_body()
            } else {
                request
            };
            let reply = request.send().await;
            let code = if reply.status >= 400 {
                reply.json()["error_code"].as_str().expect("a code").to_uppercase()
            } else {
                String::new()
            };
            let got = access_refusal(&code).then_some((reply.status, code.as_str()));
            let expected =
                expected.map(|(code, reason)| (if code == Code::Unauthenticated { 401 } else { 403 }, reason));
            cases += 1;
            if got != expected || reply.status == 500 {
                wrong.push(format!(
                    "{} as {caller:?} over REST: {} {}, expected {expected:?}",
                    method.full_name(),
                    reply.status,
                    reply.text()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases} cases are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(cases > 400, "only {cases} cases");
}

/// With a window of zero, every proof is too old: each method that demands a fresh one refuses it, over
/// gRPC and over REST, and no other method does.
#[tokio::test]
async fn every_method_demands_the_fresh_proof_that_it_declares() {
    const STALE: &str = "INSUFFICIENT_USER_AUTHENTICATION";
    let app = App::own(&[("REAUTH_WINDOW", "0s")]);
    let channels = channels(&app).await;
    let (mut wrong, mut demanding) = (Vec::new(), 0);
    for method in methods().filter(|method| access(method) != Some(Access::Service)) {
        let declared = fresh_proof(&method);
        // Which of their requests demand one is tested with the method.
        if declared == FreshProof::ByRequest {
            continue;
        }
        let expected = declared == FreshProof::Required;
        demanding += usize::from(expected);
        let person = match access(&method) {
            Some(Access::Superuser) => app.superuser().await,
            _ => app.register().await,
        };
        let message = valid(&method.input(), &Known::new());
        let channel = &channels[service(&method)];
        if let Some(request) = transcode::call(&method, &message) {
            let call = person.call(request.method, &request.path).without_body();
            let call = match &request.body {
                Some(body) => call.json(body),
                None => call,
            };
            let reply = call.send().await;
            let refused = reply.status == 401 && reply.json()["error_code"] == STALE.to_ascii_lowercase();
            if refused != expected {
                wrong.push(format!("{} over REST: {}", method.full_name(), reply.status));
            }
        }
        let outcome = call(channel, &method, &message, Some(&person.access_token)).await;
        let refused = outcome.as_ref().err().is_some_and(|status| reason(status) == STALE);
        if refused != expected {
            wrong.push(format!("{} over gRPC: {}", method.full_name(), describe(&outcome)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(demanding >= 3, "only {demanding} methods demand a fresh proof");
}

/// An outcome as text.
fn describe<T>(outcome: &Result<T, Status>) -> String {
    match outcome {
        Ok(_) => "answered".to_owned(),
        Err(status) => format!("{:?} {} ({})", status.code(), reason(status), status.message()),
    }
}

/// The failure with which access control refused a call; any other outcome is that of an admitted
/// caller.
fn refused<T>(outcome: &Result<T, Status>) -> Option<(Code, &'static str)> {
    let status = outcome.as_ref().err()?;
    let reason = reason(status);
    let known = [
        "TOKEN_MISSING",
        "TOKEN_INVALID",
        "TOKEN_EXPIRED",
        "TOKEN_REVOKED",
        "PERMISSION_DENIED",
    ];
    let reason = known.into_iter().find(|known| *known == reason)?;
    Some((status.code(), reason))
}

fn access_refusal(code: &str) -> bool {
    code.starts_with("TOKEN_") || code == "PERMISSION_DENIED"
}

/// The outcome for another user of a method that names a user. Every such method has to be here:
/// whether others may read or change what belongs to a user is a decision, and cannot be derived.
const OF_USERS: [(&str, Others); 16] = [
    ("GetUser", Others::Admitted),
    ("UpdateUser", Others::NotYours),
    ("DeleteUser", Others::NotYours),
    ("RestoreUser", Others::SuperusersOnly),
    ("PurgeUser", Others::SuperusersOnly),
    ("GetProfile", Others::Admitted),
    ("UpdateProfile", Others::NotYours),
    ("DeleteProfile", Others::NotYours),
    ("GetUserTier", Others::NotYours),
    ("SetUserTier", Others::SuperusersOnly),
    ("ListUserRateLimits", Others::NotYours),
    ("SetRole", Others::SuperusersOnly),
    ("SetStatus", Others::SuperusersOnly),
    ("EndSessions", Others::SuperusersOnly),
    ("ResetSecondFactor", Others::SuperusersOnly),
    ("RevokeSession", Others::NotFound),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Admitted,
    NotYours,
    NotFound,
    SuperusersOnly,
}

async fn every_method_hides_owned_resources_from_others(app: App) {
    let channels = channels(&app).await;
    let eve = app.register().await;
    let mut wrong = Vec::new();
    let mut cases = 0;
    for method in methods().filter(|method| access(method) != Some(Access::Service)) {
        let names = names(&method.input());
        let owned = |name: &str| names.iter().any(|field| field.trim_end_matches('s') == name);
        let others = if ["todo_id", "tag_id", "task_id", "webhook_id"].into_iter().any(owned) {
            if access(&method) == Some(Access::Superuser) {
                Others::SuperusersOnly
            } else {
                Others::NotFound
            }
        } else if owned("user_id") || owned("account_id") || owned("session_id") {
            let decided = OF_USERS.iter().find(|(name, _)| *name == method.name());
            decided
                .unwrap_or_else(|| panic!("{}: decide in OF_USERS what others get", method.full_name()))
                .1
        } else {
            continue;
        };
        cases += 1;
        let (owner, known) = belongings(&app, method.name()).await;
        let message = valid(&method.input(), &known);
        let channel = &channels[service(&method)];
        let outcome = call(channel, &method, &message, Some(&eve.access_token)).await;
        let got = match &outcome {
            Ok(_) => Others::Admitted,
            Err(status) if status.code() == Code::NotFound => Others::NotFound,
            // A tag of a body, which is a field that breaks a rule, as one that is not there is.
            Err(status) if status.message().contains("is not one of your tags") => Others::NotFound,
            Err(status) if reason(status) == "NOT_YOUR_USER" => Others::NotYours,
            Err(status) if reason(status) == "PERMISSION_DENIED" => Others::SuperusersOnly,
            Err(status) => panic!("{}: {status:?}", method.full_name()),
        };
        if got != others {
            wrong.push(format!(
                "{} as somebody else: {}, expected {others:?}",
                method.full_name(),
                describe(&outcome)
            ));
        }
        // The owner may make the same request; it comes last, to prove that no other call had an
        // effect.
        let outcome = call(channel, &method, &message, Some(&owner.access_token)).await;
        let expected = if others == Others::SuperusersOnly {
            Err(Code::PermissionDenied)
        } else {
            Ok(())
        };
        if outcome.as_ref().map(|_| ()).map_err(Status::code) != expected {
            wrong.push(format!(
                "{} as the owner: {}, expected {expected:?}",
                method.full_name(),
                describe(&outcome)
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases} methods are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(cases >= 25, "only {cases} methods");
}

/// The names of all fields of a request, including those of nested messages.
fn names(message: &MessageDescriptor) -> Vec<String> {
    let mut names = Vec::new();
    for field in message.fields() {
        names.push(field.name().to_owned());
        if let (true, Kind::Message(inner)) = (is_own(&field.kind()), field.kind()) {
            names.extend(self::names(&inner));
        }
    }
    names
}

/// A new user with one resource of every kind, in the state that `method` needs.
async fn belongings(app: &App, method: &str) -> (Person, Known) {
    let owner = app.register().await;
    let todo = create(&owner, "Private").await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let tag = create_tag(&owner, "private").await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    owner
        .put(
            &format!("/api/v1/users/{}/profile", owner.id),
            json!({"bio": "Private"}),
        )
        .await
        .expect(200);
    if method == "RestoreTodo" {
        owner.delete(&format!("/api/v1/todos/{todo}")).await.expect(204);
    }
    if method == "GetUserTier" {
        let root = app.superuser().await;
        let tier = quartet_tests::app::unique("t");
        root.post("/api/v1/tiers", json!({"name": tier})).await.expect(201);
        root.put(&format!("/api/v1/users/{}/tier", owner.id), json!({"tier": tier}))
            .await
            .expect(200);
    }
    let task = task(&owner, method).await;
    let webhook = json!({"url": "https://example.org/hook"});
    let webhook = owner.post("/api/v1/webhooks", webhook).await.expect(201);
    let session = app.login(&owner).await.session_id();
    let known = [
        ("todo_id", todo),
        ("tag_id", tag),
        ("task_id", task),
        ("webhook_id", webhook["id"].as_str().expect("an id").to_owned()),
        ("user_id", owner.id.clone()),
        ("account_id", owner.id.clone()),
        ("session_id", session),
    ];
    (owner, known.into_iter().collect())
}

/// A task of the owner, in the state that `method` needs.
async fn task(owner: &Person, method: &str) -> String {
    let waiting = json!({"export_todos": {}, "run_at": "2100-01-01T00:00:00Z"});
    let at_once = json!({"export_todos": {}});
    let body = if method == "DownloadResult" { at_once } else { waiting };
    let task = owner.post("/api/v1/tasks", body).await.expect(202);
    let id = task["id"].as_str().expect("an id").to_owned();
    if method == "RetryTask" {
        owner
            .post(&format!("/api/v1/tasks/{id}:cancel"), json!({}))
            .await
            .expect(200);
    }
    if method == "DownloadResult" {
        ended(owner, &id).await;
    }
    id
}
