//! A system whose instances are replaced in turn, as its users see it: `scripts/compose.sh replace`
//! beside this test. Without a replacement it is a short load.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use quartet_tests::app::eventually;
use quartet_tests::subscriber::{Event, Subscriber, Transport, hex_id};
use quartet_tests::{App, Person, Reply};
use serde_json::json;

/// Clients at once.
const CLIENTS: usize = 8;
/// Between two calls of one client, so that the load leaves the machine something to start with.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the load lasts where nothing says when it ends.
const SHORT: Duration = Duration::from_secs(3);
/// Bound on a replacement of everything.
const LONGEST: Duration = Duration::from_secs(600);

/// What the clients saw.
#[derive(Default)]
struct Seen {
    calls: usize,
    /// Ids of the todos whose creation was acknowledged.
    created: Vec<String>,
    failed: Vec<String>,
}

impl Seen {
    fn record(&mut self, call: &str, reply: &Reply) {
        self.calls += 1;
        if !(200..300).contains(&reply.status) {
            self.failed.push(format!("{call}: {} {}", reply.status, reply.text()));
        } else if call == "create" {
            let id = reply.json()["id"].as_str().unwrap_or_default().to_owned();
            self.created.push(hex_id(&id));
        }
    }
}

/// Reads, lists and writes until stopped. A write is sent once: a proxy may not repeat it.
async fn client(number: usize, person: Person, seen: Arc<Mutex<Seen>>, stop: Arc<AtomicBool>) {
    let mut path = "/api/v1/todos".to_owned();
    let mut round = number;
    while !stop.load(Ordering::SeqCst) {
        round += 1;
        let (call, reply) = match round % 3 {
            0 => (
                "create",
                person.post("/api/v1/todos", json!({"title": "One more"})).await,
            ),
            1 => ("get", person.get(&path).await),
            _ => ("list", person.get("/api/v1/todos?page_size=5").await),
        };
        if (200..300).contains(&reply.status) && call == "create" {
            path = format!("/api/v1/todos/{}", reply.json()["id"].as_str().unwrap_or_default());
        }
        seen.lock().record(call, &reply);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Until the file that `LOAD_UNTIL` names is there; for a while where it names none.
async fn until_replaced() {
    let file = std::env::var_os("LOAD_UNTIL").map(PathBuf::from);
    let Some(file) = file else {
        return tokio::time::sleep(SHORT).await;
    };
    eventually(LONGEST, "the replacement ends", async || file.exists().then_some(())).await;
}

async fn no_call_fails_and_no_event_is_missed(app: App) {
    let ada = app.register().await;
    let streams = [Transport::ServerSentEvents, Transport::WebSocket]
        .map(|transport| Subscriber::start(&app.suite().http, &ada.access_token, transport));
    eventually(Duration::from_secs(60), "both streams have begun", async || {
        ada.post("/api/v1/todos", json!({"title": "The first ones"})).await;
        streams.iter().all(|stream| !stream.received().is_empty()).then_some(())
    })
    .await;
    let (seen, stop) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(number, ada.clone(), seen.clone(), stop.clone())))
        .collect();
    until_replaced().await;
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let seen = std::mem::take(&mut *seen.lock());
    println!(
        "{} calls, {} creations, {} failed",
        seen.calls,
        seen.created.len(),
        seen.failed.len()
    );
    assert_eq!(seen.failed, Vec::<String>::new());
    assert!(
        seen.created.len() >= CLIENTS,
        "the load wrote too little: {}",
        seen.created.len()
    );
    for stream in &streams {
        let missing = |events: &[Event]| {
            let has = |id: &&String| events.iter().any(|event| event.todo == **id);
            seen.created.iter().filter(|id| !has(id)).count()
        };
        eventually(Duration::from_secs(60), "every todo reaches the stream", async || {
            (missing(&stream.received()) == 0).then_some(())
        })
        .await;
        // A stream that has begun again first shows where it stands.
        let changes = stream.received().into_iter().filter(|event| event.kind != "KIND_READY");
        let events: Vec<_> = changes.collect();
        println!("{} events, in {} connections", events.len(), stream.connections());
        let gaps = events
            .windows(2)
            .filter(|pair| pair[1].position != pair[0].position + 1);
        assert_eq!(gaps.collect::<Vec<_>>(), Vec::<&[Event]>::new(), "a gap or a repeat");
    }
}

quartet_tests::on_every_topology![no_call_fails_and_no_event_is_missed];
