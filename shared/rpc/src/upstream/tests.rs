//! Calls over loopback to servers that fail on demand.

mod server;

use std::error::Error as _;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use quartet_config::Source;
use quartet_proto::options::Reason;
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;

use super::*;
use server::{Answer, Server};

const GET: &str = "/quartet.todos.v1.TodoService/GetTodo";
const CREATE: &str = "/quartet.todos.v1.TodoService/CreateTodo";
const WATCH: &str = "/quartet.todos.v1.TodoService/WatchTodos";
const CHECK: &str = "/grpc.health.v1.Health/Check";

fn settings() -> Config {
    Config::read(&Source::default()).unwrap()
}

/// An upstream over these servers, connected to all of them.
async fn upstream(servers: &[&Server]) -> Upstream {
    with(&settings(), servers).await
}

async fn with(config: &Config, servers: &[&Server]) -> Upstream {
    let addresses: Vec<_> = servers.iter().map(|server| server.url()).collect();
    let upstream = Upstreams::new(config)
        .unwrap()
        .remote("todos", &addresses.join(","))
        .unwrap();
    let pool = pool(&upstream);
    eventually("all instances are connected", || {
        let instances = pool.instances();
        instances.len() == servers.len()
            && instances
                .iter()
                .all(|instance| instance.standing(&pool) == instance::Standing::Usable)
    })
    .await;
    upstream
}

fn pool(upstream: &Upstream) -> Arc<pool::Pool> {
    match &upstream.target {
        Target::Remote(handle) => handle.pool.clone(),
        Target::Local(_) => panic!("a remote upstream"),
    }
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Makes a call, and reads its reply to the end.
async fn call(upstream: &Upstream, path: &str, headers: &[(&'static str, &str)]) -> Result<Bytes, Status> {
    let reply = open(upstream, path, headers).await?;
    let body = reply.into_body().collect().await?;
    let status = body.trailers().and_then(Status::from_header_map);
    match status {
        Some(status) if status.code() == Code::Ok => Ok(body.to_bytes()),
        Some(status) => Err(status),
        None => Err(Status::unknown("no trailers")),
    }
}

/// Makes a call, and waits for the head of its reply.
async fn open(
    upstream: &Upstream,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<http::Response<Body>, Status> {
    let mut request = http::Request::post(path)
        .body(body::of(Bytes::from_static(b"request")))
        .unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let reply = upstream.clone().oneshot(request).await.unwrap();
    match Status::from_header_map(reply.headers()) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok(reply),
    }
}

/// Calls `path` from 16 clients until dropped; counts what succeeds and collects what fails.
struct Load {
    succeeded: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<Vec<Status>>>,
    stop: tokio_util::sync::CancellationToken,
}

impl Load {
    fn of(upstream: &Upstream, path: &'static str, headers: &'static [(&'static str, &'static str)]) -> Self {
        let (succeeded, stop) = (
            Arc::<AtomicUsize>::default(),
            tokio_util::sync::CancellationToken::new(),
        );
        let clients = (0..16).map(|_| {
            let (upstream, succeeded, stop) = (upstream.clone(), succeeded.clone(), stop.clone());
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !stop.is_cancelled() {
                    match call(&upstream, path, headers).await {
                        Ok(_) => drop(succeeded.fetch_add(1, Ordering::Relaxed)),
                        Err(status) => {
                            failed.push(status);
                            // What fails at once would leave nobody else a turn.
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                }
                failed
            })
        });
        let clients = clients.collect();
        Self {
            succeeded,
            clients,
            stop,
        }
    }

    async fn passes(&self, further: usize) {
        let wanted = self.succeeded.load(Ordering::Relaxed) + further;
        eventually("calls pass", || self.succeeded.load(Ordering::Relaxed) >= wanted).await;
    }

    async fn failures(self) -> Vec<Status> {
        self.stop.cancel();
        let mut failures = Vec::new();
        for client in self.clients {
            failures.extend(client.await.unwrap());
        }
        failures
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_fails_when_one_of_two_instances_dies_under_load() {
    for path in [GET, WATCH] {
        let (one, mut two) = (Server::start().await, Server::start().await);
        let upstream = upstream(&[&one, &two]).await;
        let load = Load::of(&upstream, path, &[]);
        load.passes(200).await;
        assert!(one.calls() > 20 && two.calls() > 20, "both get calls");
        two.kill();
        load.passes(200).await;
        two.restart().await;
        let before = two.calls();
        eventually("the restarted one gets calls", || two.calls() > before + 20).await;
        let failures = load.failures().await;
        // A stream that has begun is its reader's to open again.
        let failures = failures
            .iter()
            .filter(|status| path == GET || status.source().is_none());
        assert_eq!(failures.count(), 0, "{path}");
    }
}

#[tokio::test]
async fn calls_that_ask_one_instance_after_another_reach_each_whatever_its_load() {
    let (one, two) = (Server::start().await, Server::start().await);
    let upstream = upstream(&[&one, &two]).await;
    one.answer(Answer::Hang);
    two.answer(Answer::Hang);
    let busy = open(&upstream, WATCH, &[]).await.unwrap();
    one.answer(Answer::Reply);
    two.answer(Answer::Reply);
    let (of_one, of_two) = (one.calls(), two.calls());
    for round in 1..=10 {
        let elsewhere = Elsewhere::default();
        for _ in 0..2 {
            let mut request = http::Request::post(CHECK)
                .body(body::of(Bytes::from_static(b"request")))
                .unwrap();
            request.extensions_mut().insert(elsewhere.clone());
            upstream.clone().oneshot(request).await.unwrap();
        }
        assert_eq!((one.calls() - of_one, two.calls() - of_two), (round, round));
    }
    drop(busy);
}

#[tokio::test]
async fn a_write_that_an_instance_has_begun_with_is_repeated_with_a_key_only() {
    let (one, two) = (Server::start().await, Server::start().await);
    let upstream = upstream(&[&one, &two]).await;
    one.answer(Answer::Break);
    let mut failed = 0;
    for _ in 0..20 {
        failed += usize::from(call(&upstream, CREATE, &[]).await.is_err());
    }
    // Each call that came to the one that breaks has failed, and was sent once.
    assert!(failed > 0);
    assert_eq!((one.calls(), two.calls()), (failed, 20 - failed));
    let status = loop {
        if let Err(status) = call(&upstream, CREATE, &[]).await {
            break status;
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(
        status.get_details_retry_info().unwrap().retry_delay,
        Some(Duration::from_secs(1))
    );
    for _ in 0..20 {
        call(&upstream, CREATE, &[("idempotency-key", "k")]).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_never_left_is_made_elsewhere_whatever_its_method() {
    let (mut one, two) = (Server::start().await, Server::start().await);
    let upstream = upstream(&[&one, &two]).await;
    one.kill();
    // A call on a connection whose end is not known yet may have left.
    let pool = pool(&upstream);
    eventually("the end of the connection is known", || {
        let instances = pool.instances();
        let usable = instances
            .iter()
            .filter(|one| one.standing(&pool) == instance::Standing::Usable);
        usable.count() == 1
    })
    .await;
    for _ in 0..50 {
        call(&upstream, CREATE, &[]).await.unwrap();
    }
}

/// Every call to an instance shares one connection, whose window slow readers must not use up.
#[tokio::test]
async fn readers_that_stall_hold_up_themselves_alone() {
    let server = Server::start().await;
    let upstream = upstream(&[&server]).await;
    server.answer(Answer::Flood);
    let mut stalled = Vec::new();
    for _ in 0..8 {
        stalled.push(open(&upstream, WATCH, &[]).await.unwrap());
    }
    // Time for what fits into their windows.
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.answer(Answer::Reply);
    let answered = tokio::time::timeout(Duration::from_secs(10), call(&upstream, GET, &[])).await;
    answered.expect("a call beside them is answered").unwrap();
}

#[tokio::test]
async fn a_server_that_stops_in_order_fails_no_call() {
    let (one, two) = (Server::start().await, Server::start().await);
    let upstream = upstream(&[&one, &two]).await;
    let load = Load::of(&upstream, CREATE, &[]);
    load.passes(100).await;
    one.drain();
    load.passes(200).await;
    assert!(load.failures().await.is_empty());
}

#[tokio::test]
async fn a_reply_that_breaks_off_in_its_middle_is_fetched_again() {
    let (one, two) = (Server::start().await, Server::start().await);
    let upstream = upstream(&[&one, &two]).await;
    one.answer(Answer::Cut);
    for _ in 0..20 {
        assert_eq!(call(&upstream, GET, &[]).await.unwrap(), "reply");
    }
    assert!(one.calls() > 0);
}

#[tokio::test]
async fn a_read_waits_for_the_only_instance_while_it_restarts() {
    let mut server = Server::start().await;
    let upstream = upstream(&[&server]).await;
    let load = Load::of(&upstream, GET, &[]);
    load.passes(100).await;
    server.kill();
    tokio::time::sleep(Duration::from_millis(600)).await;
    // A probe does not wait: it reports what is now.
    let asked = Instant::now();
    assert_eq!(call(&upstream, CHECK, &[]).await.unwrap_err().code(), Code::Unavailable);
    assert!(asked.elapsed() < Duration::from_millis(300));
    server.restart().await;
    load.passes(100).await;
    assert!(load.failures().await.is_empty());
}

#[tokio::test]
async fn the_wait_ends_with_the_deadline() {
    let mut server = Server::start().await;
    let upstream = upstream(&[&server]).await;
    server.kill();
    let asked = Instant::now();
    let status = call(&upstream, GET, &[("grpc-timeout", "100m")]).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(asked.elapsed() < Duration::from_millis(1_000));
}

#[tokio::test]
async fn calls_to_a_backend_that_stays_away_fail_at_once_until_it_is_back() {
    let mut server = Server::start().await;
    let upstream = upstream(&[&server]).await;
    server.kill();
    let status = call(&upstream, GET, &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let asked = Instant::now();
    for _ in 0..100 {
        let status = call(&upstream, GET, &[]).await.unwrap_err();
        assert_eq!(
            status.get_details_retry_info().unwrap().retry_delay,
            Some(Duration::from_secs(1))
        );
    }
    assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
    server.restart().await;
    let back = Instant::now();
    while call(&upstream, GET, &[]).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(back.elapsed() < Duration::from_millis(1_000), "{:?}", back.elapsed());
}

#[tokio::test]
async fn an_instance_that_fails_is_ejected_and_returns_after_a_probe() {
    let (one, two) = (Server::start().await, Server::start().await);
    let upstream = upstream(&[&one, &two]).await;
    one.answer(Answer::Reset);
    let pool = pool(&upstream);
    while !pool.instances().iter().any(|instance| instance.is_ejected()) {
        call(&upstream, GET, &[]).await.unwrap();
    }
    assert_eq!(one.calls(), 3);
    for _ in 0..50 {
        call(&upstream, CREATE, &[]).await.unwrap();
    }
    assert_eq!(one.calls(), 3);
    one.answer(Answer::Reply);
    let ejected = Instant::now();
    while one.calls() < 10 {
        call(&upstream, GET, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(ejected.elapsed() < Duration::from_secs(5), "it returns");
    }
    assert!(!pool.instances().iter().any(|instance| instance.is_ejected()));
}

#[tokio::test]
async fn the_last_instance_is_probed_and_used_again_within_a_second() {
    let server = Server::start().await;
    let upstream = upstream(&[&server]).await;
    server.answer(Answer::Reset);
    for _ in 0..3 {
        call(&upstream, CREATE, &[]).await.unwrap_err();
    }
    // The breaker is open: for a while calls wait, then they fail; few of them reach the server.
    let load = Load::of(&upstream, CREATE, &[]);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let probes = server.calls() - 3;
    assert!((1..=30).contains(&probes), "{probes}");
    server.answer(Answer::Reply);
    let healed = Instant::now();
    load.passes(1).await;
    assert!(healed.elapsed() < Duration::from_secs(1), "{:?}", healed.elapsed());
    assert!(!load.failures().await.is_empty());
}

#[tokio::test]
async fn retries_have_a_budget() {
    let (one, two) = (Server::start().await, Server::start().await);
    let upstream = upstream(&[&one, &two]).await;
    [&one, &two]
        .iter()
        .for_each(|server| server.answer(Answer::Unavailable));
    for _ in 0..300 {
        let status = call(&upstream, GET, &[]).await.unwrap_err();
        assert_eq!(status.message(), "the store is away");
    }
    let attempts = one.calls() + two.calls();
    // A reserve of 100, and one for every five calls.
    assert!((400..=300 + 100 + 60).contains(&attempts), "{attempts}");
}

#[tokio::test]
async fn a_service_that_says_when_to_come_back_is_not_called_again_before() {
    let server = Server::start().await;
    let upstream = upstream(&[&server]).await;
    server.answer(Answer::Busy);
    let status = call(&upstream, GET, &[]).await.unwrap_err();
    assert_eq!(
        status.get_details_retry_info().unwrap().retry_delay,
        Some(Duration::from_secs(7))
    );
    assert_eq!(server.calls(), 1);
    // Of its own accord, a write is not repeated at all.
    server.answer(Answer::Unavailable);
    call(&upstream, CREATE, &[]).await.unwrap_err();
    assert_eq!(server.calls(), 2);
    call(&upstream, GET, &[]).await.unwrap_err();
    assert_eq!(server.calls(), 5);
}

#[tokio::test]
async fn calls_beyond_the_bound_are_shed_and_streams_have_a_bound_of_their_own() {
    let server = Server::start().await;
    let mut config = settings();
    config.max_in_flight = NonZeroUsize::new(4).unwrap();
    config.max_streams = NonZeroUsize::new(2).unwrap();
    let upstream = with(&config, &[&server]).await;
    server.answer(Answer::Hang);
    let streams = [
        open(&upstream, WATCH, &[]).await.unwrap(),
        open(&upstream, WATCH, &[]).await.unwrap(),
    ];
    let status = open(&upstream, WATCH, &[]).await.unwrap_err();
    assert_eq!(
        crate::failure::reason_of(&status).as_deref(),
        Some(Reason::Overloaded.code())
    );

    let hanging: Vec<_> = (0..4)
        .map(|_| {
            let upstream = upstream.clone();
            tokio::spawn(async move { call(&upstream, CREATE, &[]).await })
        })
        .collect();
    eventually("four calls are in flight", || server.calls() == 6).await;
    let shed: Vec<_> = (0..20)
        .map(|_| {
            let upstream = upstream.clone();
            tokio::spawn(async move { call(&upstream, CREATE, &[]).await })
        })
        .collect();
    for shed in shed {
        let status = shed.await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(
            crate::failure::reason_of(&status).as_deref(),
            Some(Reason::Overloaded.code())
        );
        assert_eq!(
            status.get_details_retry_info().unwrap().retry_delay,
            Some(Duration::from_secs(1))
        );
    }
    assert_eq!(server.calls(), 6);
    // What ends makes room.
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
    drop(streams);
    server.answer(Answer::Reply);
    call(&upstream, CREATE, &[]).await.unwrap();
    call(&upstream, WATCH, &[]).await.unwrap();
}

#[tokio::test]
async fn https_trusts_the_authority_of_the_setting_and_nobody_else() {
    let authority = server::Authority::new();
    let server = Server::start_tls(&authority).await;
    let folder = std::env::temp_dir().join(format!("quartet-ca-{}-{}", std::process::id(), server.url().len()));
    std::fs::write(&folder, authority.pem()).unwrap();
    let mut config = settings();
    config.ca_file = Some(folder.clone());
    let address = server.url().replace("127.0.0.1", "localhost");
    let upstream = Upstreams::new(&config).unwrap().remote("todos", &address).unwrap();
    assert_eq!(call(&upstream, GET, &[]).await.unwrap(), "reply");
    std::fs::remove_file(&folder).unwrap();

    let stranger = Upstreams::new(&settings()).unwrap().remote("todos", &address).unwrap();
    assert_eq!(call(&stranger, GET, &[]).await.unwrap_err().code(), Code::Unavailable);
    assert!(Upstreams::new(&config).is_err(), "the file is gone");
}

#[tokio::test]
async fn the_connections_of_an_upstream_end_with_it() {
    let server = Server::start().await;
    let upstream = upstream(&[&server]).await;
    call(&upstream, GET, &[]).await.unwrap();
    assert_eq!(server.connections(), 1);
    drop(upstream);
    eventually("the connection is closed", || server.connections() == 0).await;
}

#[tokio::test]
async fn a_status_that_cannot_be_read_fails_its_call_alone() {
    let server = Server::start().await;
    let upstream = upstream(&[&server]).await;
    for answer in [Answer::Garbled, Answer::GarbledTrailers] {
        server.answer(answer);
        for path in [GET, CREATE, WATCH] {
            let failed = call(&upstream, path, &[]).await.unwrap_err();
            assert!(failed.details().is_empty(), "{answer:?} {path}");
        }
    }
    server.answer(Answer::Reply);
    assert_eq!(call(&upstream, GET, &[]).await.unwrap(), "reply");
    assert_eq!(server.connections(), 1, "the connection stays");
}
