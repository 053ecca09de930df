//! Separate processes that prove themselves to one another: mutual TLS, and a key pair for each
//! service.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use futures::future::join_all;
use http::Method;
use prost_reflect::DynamicMessage;
use quartet_clock::Clock;
use quartet_config::Secret;
use quartet_proto::options::{Access, access, callers};
use quartet_rpc::token::ServiceTokens;
use quartet_tests::app::{eventually, tokens_by_key};
use quartet_tests::grpc::{call, reason};
use quartet_tests::message::{Known, valid};
use quartet_tests::suite::{PROGRAMS, SERVICE_SECRET, SERVICES};
use quartet_tests::vault::{self, SUITE};
use quartet_tests::{App, on_secured_topology, programs};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::rustls::ClientConfig;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::access_matrix::{channels, methods, service};
use crate::jobs::ended;

on_secured_topology!(
    a_caller_without_a_certificate_of_the_suite_is_refused,
    a_caller_without_tls_is_refused,
    each_key_of_a_service_calls_what_is_declared_for_it_alone,
    a_key_speaks_for_no_other_service_and_the_shared_secret_for_none,
);

/// Bound on what takes a look at files, once a second.
const SOON: Duration = Duration::from_secs(20);

/// A call of a method for users: its answer shows whether the service was reached, and whether it
/// knows the token of another service.
async fn probe(channel: &Channel, service: &str, token: Option<&str>) -> Result<DynamicMessage, Status> {
    let mut of_users = methods().filter(|method| access(method) == Some(Access::User) && !method.is_server_streaming());
    let method = of_users.find(|method| crate::access_matrix::service(method) == service);
    let method = method.expect("a service has methods for users");
    call(channel, &method, &valid(&method.input(), &Known::new()), token).await
}

/// Whether an answer is the service's own, which carries a reason, and not that of a broken
/// connection.
fn is_answered(outcome: &Result<DynamicMessage, Status>) -> bool {
    outcome
        .as_ref()
        .map_or_else(|status| !reason(status).is_empty(), |_| true)
}

async fn a_caller_without_a_certificate_of_the_suite_is_refused(app: App) {
    let vault = app.suite().vault();
    for service in SERVICES {
        let member = app.channel_of(service, vault.identity(SUITE)).await.unwrap();
        assert!(is_answered(&probe(&member, service, None).await), "{service}");
        for (who, identity) in [("nobody", vault.nobody()), ("a stranger", vault.stranger())] {
            // The server refuses once the client has finished its side of the handshake.
            if let Ok(channel) = app.channel_of(service, identity).await {
                let outcome = probe(&channel, service, None).await;
                assert!(!is_answered(&outcome), "{service} answered {who}: {outcome:?}");
            }
        }
    }
    let failed = async || app.suite().logs().contains("a handshake has failed").then_some(());
    eventually(SOON, "failed handshakes are logged", failed).await;
}

async fn a_caller_without_tls_is_refused(app: App) {
    for service in SERVICES {
        if let Ok(channel) = app.endpoint(service).connect().await {
            let outcome = probe(&channel, service, None).await;
            assert!(!is_answered(&outcome), "{service}: {outcome:?}");
        }
    }
}

async fn each_key_of_a_service_calls_what_is_declared_for_it_alone(app: App) {
    let channels = channels(&app).await;
    let (mut wrong, mut taken, mut refused) = (Vec::new(), 0, 0);
    for method in methods().filter(|method| access(method) == Some(Access::Service)) {
        let declared = callers(&method);
        for name in ["auth", "users", "todos", "jobs", "gateway"] {
            let is_declared = declared.iter().any(|caller| caller == "*" || caller == name);
            let message = valid(&method.input(), &Known::new());
            let outcome = call(
                &channels[service(&method)],
                &method,
                &message,
                Some(&app.service_token(name)),
            )
            .await;
            let denial = outcome.as_ref().err().map(reason).unwrap_or_default();
            let is_refused = denial == "PERMISSION_DENIED" || denial.starts_with("TOKEN_");
            if is_refused == is_declared {
                wrong.push(format!("{} as {name}: {outcome:?}", method.full_name()));
            }
            match is_declared {
                true => taken += 1,
                false => refused += 1,
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{taken} calls taken, {refused} refused");
    assert!(taken >= 10 && refused >= 20, "{taken} taken, {refused} refused");
}

async fn a_key_speaks_for_no_other_service_and_the_shared_secret_for_none(app: App) {
    let method = methods()
        .find(|method| method.name() == "EnsureUser")
        .expect("a method");
    let users = app.channel("users").await;
    let vault = app.suite().vault();
    let refused = async |tokens: ServiceTokens| {
        let token = tokens.current().unwrap();
        let outcome = call(&users, &method, &valid(&method.input(), &Known::new()), Some(&token)).await;
        let status = outcome.unwrap_err();
        (status.code(), reason(&status))
    };
    let invalid = (Code::Unauthenticated, "TOKEN_INVALID".to_owned());
    for key in ["users", "todos", "jobs", "gateway"] {
        assert_eq!(
            refused(tokens_by_key("auth", &vault.private_key(key))).await,
            invalid,
            "{key}"
        );
        assert_eq!(
            refused(tokens_by_key(SUITE, &vault.private_key(key))).await,
            invalid,
            "{key}"
        );
    }
    let shared = ServiceTokens::new("auth", "quartet", &Secret::new(SERVICE_SECRET), Clock::system());
    assert_eq!(refused(shared).await, invalid);
    let message = valid(&method.input(), &Known::new());
    let own = call(&users, &method, &message, Some(&app.service_token("auth"))).await;
    assert!(is_answered(&own));
}

/// Where the clients of the load are, as the proxy before the gateway reports it.
const CLIENT: &str = "203.0.113.7";

/// Clients who use every call between services, until `done`; the rounds that they have finished.
async fn load(app: &App, rounds: &AtomicUsize, done: &AtomicBool) {
    join_all((0..3).map(async |_| {
        while !done.load(Ordering::SeqCst) {
            // Auth calls users, and the gateway proves where the client is.
            let ada = app.register().await;
            ada.get("/api/v1/users/me").await.expect(200);
            let login = json!({"username_or_email": ada.username, "password": ada.password});
            let login = app.call(Method::POST, "/api/v1/auth/login").json(&login);
            login.header("x-forwarded-for", CLIENT).send().await.expect(200);
            let sessions = ada.get("/api/v1/auth/sessions").await.expect(200);
            assert_eq!(sessions["data"][0]["ip_address"], CLIENT, "{sessions}");
            // Users calls auth.
            ada.patch(
                "/api/v1/users/me",
                json!({"username": format!("x{}", &ada.username[1..])}),
            )
            .await
            .expect(200);
            // Jobs calls todos.
            ada.post("/api/v1/todos", json!({"title": "Todo"})).await.expect(201);
            let task = json!({"export_todos": {"format": "FILE_FORMAT_CSV"}});
            let task = ada.post("/api/v1/tasks", task).await.expect(202);
            let task = ended(&ada, task["id"].as_str().unwrap()).await;
            assert_eq!(
                (&task["status"], &task["attempts"]),
                (&json!("TASK_STATUS_SUCCEEDED"), &json!(1)),
                "{task}"
            );
            rounds.fetch_add(1, Ordering::SeqCst);
        }
    }))
    .await;
}

/// Waits until every client of the load has begun and ended a round from now on.
async fn another_round(rounds: &AtomicUsize) {
    let target = rounds.load(Ordering::SeqCst) + 6;
    let reached = async || (rounds.load(Ordering::SeqCst) >= target).then_some(());
    eventually(Duration::from_secs(120), "the load goes on", reached).await;
}

/// What services have refused to one another.
fn refusals(app: &App) -> Vec<String> {
    let between: Vec<_> = methods()
        .filter(|method| access(method) == Some(Access::Service))
        .map(|method| format!("{}/{}", method.parent_service().full_name(), method.name()))
        .collect();
    let logs = app.suite().logs();
    let refused = logs.lines().filter(|line| {
        (line.contains("UNAUTHENTICATED") || line.contains("PERMISSION_DENIED"))
            && between.iter().any(|method| line.contains(method))
    });
    refused.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn keys_are_replaced_under_load_and_no_call_is_lost() {
    let app = App::own_secured(&[("TRUSTED_PROXIES", "127.0.0.0/8")]);
    let (rounds, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let channels = channels(&app).await;
    let replace = async {
        another_round(&rounds).await;
        for program in ["auth", "users", "jobs", "gateway"] {
            let old = tokens_by_key(program, &app.suite().vault().private_key(program))
                .current()
                .unwrap();
            let next = app.suite().vault().next_key(program);
            let new = tokens_by_key(program, next.private()).current().unwrap();
            let verifies = async |token: &str| {
                for (service, channel) in &channels {
                    // Services may not do this: whose token it is was known.
                    let outcome = probe(channel, service, Some(token)).await;
                    if outcome.err().map(|status| reason(&status)).as_deref() != Some("PERMISSION_DENIED") {
                        return None;
                    }
                }
                Some(())
            };
            eventually(SOON, "every process knows the new key", async || verifies(&new).await).await;
            next.give();
            let signs = async || {
                let logs = app.suite().logs();
                let line = |line: &str| line.contains("signed with another key") && line.contains(program);
                logs.lines().any(line).then_some(())
            };
            eventually(SOON, "the service signs with its new key", signs).await;
            another_round(&rounds).await;
            next.finish();
            eventually(SOON, "the old key counts no longer", async || {
                verifies(&old).await.is_none().then_some(())
            })
            .await;
            verifies(&new).await.expect("the new key counts");
            another_round(&rounds).await;
        }
        done.store(true, Ordering::SeqCst);
    };
    tokio::join!(load(&app, &rounds, &done), replace);
    let refused = refusals(&app);
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    println!(
        "{} rounds of every call between services",
        rounds.load(Ordering::SeqCst)
    );
}

/// The certificate that a service shows.
async fn shown(app: &App, service: &str) -> Vec<u8> {
    let identity = app.suite().vault().identity(SUITE);
    let stream = vault::handshake(&app.suite().grpc[service], &identity)
        .await
        .expect("a handshake");
    let certificates = stream.get_ref().1.peer_certificates().expect("a certificate");
    certificates[0].to_vec()
}

/// Whether a service answers whoever this is.
async fn admits(app: &App, service: &str, identity: &ClientConfig) -> bool {
    match app.channel_of(service, identity.clone()).await {
        Ok(channel) => is_answered(&probe(&channel, service, None).await),
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn certificates_are_replaced_under_load_and_without_a_restart() {
    let app = App::own_secured(&[]);
    let vault = app.suite().vault();
    let ada = app.register().await;
    let old = vault.identity(SUITE);
    let mut before = Vec::new();
    for service in SERVICES {
        before.push(shown(&app, service).await);
    }
    let (calls, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let load = async {
        while !done.load(Ordering::SeqCst) {
            ada.post("/api/v1/todos", json!({"title": "Todo"})).await.expect(201);
            ada.get("/api/v1/users/me").await.expect(200);
            ada.get("/api/v1/auth/me").await.expect(200);
            ada.get("/api/v1/tasks").await.expect(200);
            calls.fetch_add(4, Ordering::SeqCst);
        }
    };
    let replace = async {
        vault.add_authority();
        vault.issue(&[SUITE]);
        let new = vault.identity(SUITE);
        for service in SERVICES {
            let taken = async || admits(&app, service, &new).await.then_some(());
            eventually(SOON, "the new authority counts", taken).await;
            assert!(admits(&app, service, &old).await, "so does the old one");
        }
        vault.issue(&PROGRAMS);
        for (service, before) in SERVICES.into_iter().zip(&before) {
            let replaced = async || (shown(&app, service).await != *before).then_some(());
            eventually(SOON, "the new certificate is shown", replaced).await;
        }
        vault.drop_old_authority();
        for service in SERVICES {
            let refused = async || (!admits(&app, service, &old).await).then_some(());
            eventually(SOON, "the old authority counts no longer", refused).await;
            assert!(admits(&app, service, &new).await);
        }
        done.store(true, Ordering::SeqCst);
    };
    tokio::join!(load, replace);
    println!("{} calls, none failed", calls.load(Ordering::SeqCst));
    // Whoever connects from now on does so with the new files: nobody was started again but this
    // one.
    app.suite().replace("todos");
    ada.get("/api/v1/todos").await.expect(200);
    let task = json!({"export_todos": {"format": "FILE_FORMAT_CSV"}});
    let task = ada.post("/api/v1/tasks", task).await.expect(202);
    let task = ended(&ada, task["id"].as_str().unwrap()).await;
    assert_eq!(task["status"], "TASK_STATUS_SUCCEEDED", "{task}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn what_the_script_makes_is_taken() {
    let app = App::own_secured(&[]);
    let made = app.suite().folder().join("made");
    let script = programs::project().join("scripts/identities.sh");
    let output = Command::new(script).arg(&made).output().expect("the script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stranger = app.suite().vault().identity(SUITE);
    app.suite().vault().take(&made, &PROGRAMS);
    assert!(app.suite().terminate());
    app.suite().restart();
    let ada = app.register().await;
    ada.post("/api/v1/todos", json!({"title": "Todo"})).await.expect(201);
    let task = json!({"export_todos": {"format": "FILE_FORMAT_CSV"}});
    let task = ada.post("/api/v1/tasks", task).await.expect(202);
    let task = ended(&ada, task["id"].as_str().unwrap()).await;
    assert_eq!(task["status"], "TASK_STATUS_SUCCEEDED", "{task}");
    let admin = app.suite().vault().identity(SUITE);
    for service in SERVICES {
        assert!(admits(&app, service, &admin).await, "{service}");
        assert!(!admits(&app, service, &stranger).await, "{service}");
    }
    // What is there stays.
    let again = Command::new(programs::project().join("scripts/identities.sh"))
        .arg(&made)
        .output();
    assert_eq!(String::from_utf8_lossy(&again.unwrap().stdout), "");
}

/// Answers the challenge of a webhook, and passes on the types of the events that come.
async fn receiver() -> (String, mpsc::UnboundedReceiver<String>) {
    let (events, received) = mpsc::unbounded_channel();
    let receive = move |Json(event): Json<Value>| async move {
        let _ = events.send(event["type"].as_str().unwrap_or_default().to_owned());
        Json(json!({"challenge": event["data"]["challenge"]}))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(receive));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_webhook_receives_what_happens_over_mutual_tls() {
    let app = App::own_secured(&[
        ("JOBS_WEBHOOK_ALLOW", "127.0.0.0/8"),
        ("JOBS_WEBHOOK_PLAIN_HTTP", "true"),
    ]);
    let ada = app.register().await;
    let (url, mut received) = receiver().await;
    let webhook = ada.post("/api/v1/webhooks", json!({"url": url})).await.expect(201);
    let path = format!("/api/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    eventually(SOON, "the target has answered the challenge", async || {
        (ada.get(&path).await.expect(200)["status"] == "WEBHOOK_STATUS_ACTIVE").then_some(())
    })
    .await;
    ada.post("/api/v1/todos", json!({"title": "Todo"})).await.expect(201);
    let delivered = async {
        while let Some(event) = received.recv().await {
            if event.contains("todo") && event.contains("created") {
                return;
            }
        }
        panic!("the receiver has ended");
    };
    tokio::time::timeout(SOON, delivered)
        .await
        .expect("the event is delivered");
}
