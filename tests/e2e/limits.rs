//! How often somebody may call.

use std::time::{Duration, Instant};

use http::Method;
use quartet_proto::todos::v1 as pb;
use quartet_proto::todos::v1::todo_service_client::TodoServiceClient;
use quartet_testkit::redis::Server;
use quartet_tests::app::{eventually, unique};
use quartet_tests::socket::Socket;
use quartet_tests::{App, Person, Rest};
use serde_json::json;
use tonic::{Code, Request};

const ON: (&str, &str) = ("RATE_LIMIT_ENABLED", "true");

/// A user whose tier has this limit, with a token that says so.
async fn with_limit(app: &App, path: &str, calls: u32, period: u32) -> Person {
    let (root, ada) = (app.superuser().await, app.register().await);
    let tier = unique("t");
    root.post("/api/v1/tiers", json!({"name": tier})).await.expect(201);
    let limit = json!({"name": "lists", "path": path, "limit": calls, "period": period});
    root.post(&format!("/api/v1/tiers/{tier}/rate-limits"), limit)
        .await
        .expect(201);
    root.put(&format!("/api/v1/users/{}/tier", ada.id), json!({"tier": tier}))
        .await
        .expect(200);
    app.login(&ada).await
}

#[tokio::test]
async fn a_tiers_limit_counts_as_soon_as_it_is_set() {
    let app = App::own(&[ON]);
    let ada = with_limit(&app, "GET /api/v1/todos", 3, 3_600).await;
    // The stream brings the limit.
    let policy = eventually(Duration::from_secs(10), "the limit counts", async || {
        let reply = ada.get("/api/v1/todos").await;
        let policy = reply.header("ratelimit-policy")?.to_owned();
        policy.contains("lists").then_some(policy)
    })
    .await;
    assert_eq!(policy, r#""lists";q=3;w=3600"#);
    let left = ada.get("/api/v1/todos").await;
    left.expect(200);
    assert_eq!(left.header("ratelimit"), Some(r#""lists";r=1;t=2400"#));
    ada.get("/api/v1/todos").await.expect(200);
    let refused = ada
        .call(Method::GET, "/api/v1/todos")
        .header("accept-language", "ru")
        .send()
        .await;
    let problem = refused.problem(429, "rate_limited");
    assert!(
        problem["detail"].as_str().unwrap().contains("лимит «lists» исчерпан"),
        "{problem}"
    );
    let retry_after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1_100..=1_200).contains(&retry_after), "{retry_after}");
    // Other methods, and other users, have limits of their own.
    ada.get("/api/v1/tags").await.expect(200);
    app.register().await.get("/api/v1/todos").await.expect(200);
}

#[tokio::test]
async fn a_limit_on_a_path_of_nothing_is_refused() {
    let app = App::own(&[ON]);
    let root = app.superuser().await;
    let tier = unique("t");
    root.post("/api/v1/tiers", json!({"name": tier})).await.expect(201);
    for path in [
        "/api/v1/nothing",
        "/api/v1/todo",
        "DELETE /api/v1/todos",
        "todos",
        "GET",
    ] {
        let limit = json!({"name": "x", "path": path, "limit": 1, "period": 1});
        root.post(&format!("/api/v1/tiers/{tier}/rate-limits"), limit)
            .await
            .invalid("path");
    }
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_counted_by_address() {
    let app = App::own(&[ON, ("RATE_LIMIT_ADDRESS", "20/1h"), ("TRUSTED_PROXIES", "127.0.0.1")]);
    let get = async |address: &str, path: &str| {
        let call = app.call(Method::GET, path).header("x-forwarded-for", address);
        call.send().await.status
    };
    let mut passed = 0;
    for number in 0..60 {
        let path = ["/api/v1/todos", "/api/v1/nothing", "/.well-known/jwks.json"][number % 3];
        passed += usize::from(get("203.0.113.7", path).await != 429);
    }
    assert_eq!(passed, 20);
    assert_eq!(get("203.0.113.8", "/.well-known/jwks.json").await, 200);
    // Health is not counted.
    assert_eq!(get("203.0.113.7", "/livez").await, 200);
}

#[tokio::test]
async fn one_address_can_try_to_log_in_only_so_often() {
    let app = App::own(&[ON, ("RATE_LIMITS", "login=10/1h"), ("TRUSTED_PROXIES", "127.0.0.1")]);
    let ada = app.register().await;
    let log_in = async |address: &str, name: &str, password: &str| {
        let body = json!({"username_or_email": name, "password": password});
        let call = app
            .call(Method::POST, "/api/v1/auth/login")
            .header("x-forwarded-for", address);
        call.json(&body).send().await
    };
    let mut refused = 0;
    for number in 0..40 {
        let reply = log_in("203.0.113.7", &format!("nobody{number}"), "correct horse").await;
        refused += usize::from(reply.status == 429);
    }
    assert_eq!(refused, 30);
    let problem = log_in("203.0.113.7", &ada.username, &ada.password)
        .await
        .problem(429, "rate_limited");
    assert!(problem["detail"].as_str().unwrap().contains("login"), "{problem}");
    log_in("203.0.113.8", &ada.username, &ada.password).await.expect(200);
}

#[tokio::test]
async fn a_call_past_the_gateway_is_counted_and_one_through_it_once() {
    let app = App::own(&[ON, ("RATE_LIMIT_USER", "10/1h")]);
    let ada = app.register().await;
    let mut client = TodoServiceClient::new(app.channel("todos").await);
    let mut list = async || {
        let mut request = Request::new(pb::ListTodosRequest::default());
        let bearer = format!("Bearer {}", ada.access_token);
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        client.list_todos(request).await.map(|_| ())
    };
    for _ in 0..5 {
        ada.get("/api/v1/todos").await.expect(200);
        list().await.unwrap();
    }
    let status = list().await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let details = tonic_types::StatusExt::get_error_details(&status);
    assert_eq!(details.error_info().unwrap().metadata["limit"], "user");
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    ada.get("/api/v1/todos").await.problem(429, "rate_limited");
}

#[tokio::test]
async fn subscriptions_over_a_websocket_are_calls() {
    let app = App::own(&[ON, ("RATE_LIMIT_USER", "5/1h")]);
    let ada = app.register().await;
    let mut socket = Socket::open(&app, &ada).await;
    let mut kinds = Vec::new();
    for number in 0..10 {
        let topic = format!("rooms/{number}");
        socket.send(json!({"type": "subscribe", "topic": topic})).await;
        kinds.push(socket.next().await["type"].as_str().unwrap().to_owned());
    }
    let subscribed = kinds.iter().filter(|kind| *kind == "subscribed").count();
    assert_eq!((subscribed, kinds.len() - subscribed), (5, 5), "{kinds:?}");
    ada.get("/api/v1/todos").await.problem(429, "rate_limited");
}

#[tokio::test]
async fn whoever_tries_tokens_past_the_gateway_is_counted() {
    let app = App::own(&[ON, ("RATE_LIMIT_ADDRESS", "5/1h")]);
    let mut client = TodoServiceClient::new(app.channel("todos").await);
    let mut codes = Vec::new();
    for number in 0..8 {
        let mut request = Request::new(pb::ListTodosRequest::default());
        let bearer = format!("Bearer none{number}");
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        codes.push(client.list_todos(request).await.unwrap_err().code());
    }
    let limited = codes.iter().filter(|code| **code == Code::ResourceExhausted).count();
    assert_eq!(limited, 3, "{codes:?}");
}

/// Statuses of `calls` calls of one user by `clients` clients at once, through the gateways by
/// turns.
async fn storm(gateways: &[Rest], clients: usize, calls: usize) -> Vec<u16> {
    let mut running = tokio::task::JoinSet::new();
    for client in 0..clients {
        let gateway = gateways[client % gateways.len()].clone();
        running.spawn(async move {
            let mut statuses = Vec::with_capacity(calls);
            for _ in 0..calls {
                statuses.push(gateway.get("/api/v1/todos").await.status);
            }
            statuses
        });
    }
    running.join_all().await.concat()
}

fn count(statuses: &[u16], wanted: u16) -> usize {
    statuses.iter().filter(|status| **status == wanted).count()
}

/// What comes back of 100 calls a minute while a test runs, rounded up, and the call at its end.
fn slack(begun: Instant) -> usize {
    (begun.elapsed().as_secs_f64() * 100.0 / 60.0).ceil() as usize + 1
}

/// Two gateways over one Redis, and a user who may list 100 times a minute.
async fn two_gateways(redis: &Server) -> (App, [Rest; 2]) {
    // A busy machine is no reason to count without Redis.
    let app = App::own_distributed(&[ON, ("REDIS_URL", &redis.url()), ("REDIS_TIMEOUT", "5s")]);
    let second = app.suite().add_gateway(&[]);
    let ada = with_limit(&app, "GET /api/v1/todos", 100, 60).await;
    let token = ada.access_token.clone();
    let gateways = [(*ada).clone(), Rest::new(&second).with_token(&token)];
    // Both have the limit.
    for gateway in &gateways {
        eventually(Duration::from_secs(20), "the limit counts", async || {
            let reply = gateway.call(Method::HEAD, "/api/v1/todos").send().await;
            reply.header("ratelimit-policy")?.contains("lists").then_some(())
        })
        .await;
    }
    (app, gateways)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and Redis: make test"]
async fn two_gateways_count_together() {
    let redis = Server::start();
    let (_app, gateways) = two_gateways(&redis).await;
    let begun = Instant::now();
    // What the set-up has used comes back.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let statuses = storm(&gateways, 200, 5).await;
    let passed = count(&statuses, 200);
    println!("{passed} of {} calls passed in {:?}", statuses.len(), begun.elapsed());
    assert_eq!(passed + count(&statuses, 429), 1_000);
    assert!(
        (90..=100 + slack(begun)).contains(&passed),
        "{passed} passed in {:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and Redis: make test"]
async fn without_redis_each_gateway_counts_for_itself() {
    let mut redis = Server::start();
    let (app, gateways) = two_gateways(&redis).await;
    let begun = Instant::now();
    let killer = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        redis.kill();
    };
    let storms = gateways
        .each_ref()
        .map(|gateway| storm(std::slice::from_ref(gateway), 100, 20));
    let [first, second] = storms;
    let (first, second, ()) = tokio::join!(first, second, killer);
    for statuses in [&first, &second] {
        let passed = count(statuses, 200);
        println!("{passed} of {} calls passed in {:?}", statuses.len(), begun.elapsed());
        assert_eq!(
            passed + count(statuses, 429),
            2_000,
            "{:?}",
            statuses.iter().find(|s| **s >= 500)
        );
        assert!(passed <= 100 + slack(begun), "{passed} passed in {:?}", begun.elapsed());
    }
    let metrics = Rest::new(app.suite().metrics("gateway")).get("/metrics").await.text();
    assert!(metrics.contains("redis_up 0"), "{metrics}");
}
