//! Calls that heal: an instance of a service dies or stops, and nobody sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;

use crate::todos::{create, path};
use quartet_tests::app::eventually;
use quartet_tests::{App, Person};

/// Clients at once.
const CLIENTS: usize = 16;

/// Clients that call until stopped, and what failed of their calls.
struct Load {
    passed: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Reads of one todo and of the list; with `writes`, creations as well.
    fn of(person: &Person, todo: &str, writes: bool) -> Self {
        let (passed, failed): (Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>) = Default::default();
        let stop = Arc::<AtomicBool>::default();
        let clients = (0..CLIENTS).map(|client| {
            let (passed, failed, stop) = (passed.clone(), failed.clone(), stop.clone());
            let (person, todo) = (person.clone(), todo.to_owned());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let reply = match client % 4 {
                        0 => person.get("/api/v1/todos").await,
                        1 if writes => person.post("/api/v1/todos", json!({"title": "One more"})).await,
                        _ => person.get(&todo).await,
                    };
                    if reply.status == 200 || reply.status == 201 {
                        passed.fetch_add(1, Ordering::SeqCst);
                    } else {
                        failed.lock().push(format!("{} {}", reply.status, reply.text()));
                    }
                }
            })
        });
        let clients = clients.collect();
        Self {
            passed,
            failed,
            stop,
            clients,
        }
    }

    async fn passes(&self, further: usize) {
        let wanted = self.passed.load(Ordering::SeqCst) + further;
        eventually(Duration::from_secs(60), "calls pass", async || {
            (self.passed.load(Ordering::SeqCst) >= wanted).then_some(())
        })
        .await;
    }

    /// Ends the load; returns how many calls passed, and what failed.
    async fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.await.unwrap();
        }
        (self.passed.load(Ordering::SeqCst), self.failed.lock().clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: make test"]
async fn no_read_fails_when_one_of_two_instances_is_killed() {
    let app = App::with_two("todos");
    let ada = app.register().await;
    let todo = path(&create(&ada, "Water the plants").await);
    let load = Load::of(&ada, &todo, false);
    load.passes(500).await;
    app.suite().take_instance("todos").kill();
    load.passes(1_000).await;
    let (passed, failed) = load.end().await;
    println!("reads that passed: {passed}; reads that failed: {}", failed.len());
    assert_eq!(failed, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: make test"]
async fn no_call_fails_when_one_of_two_instances_stops() {
    let app = App::with_two("todos");
    let ada = app.register().await;
    let todo = path(&create(&ada, "Water the plants").await);
    let load = Load::of(&ada, &todo, true);
    load.passes(500).await;
    let mut stopped = app.suite().take_instance("todos");
    assert!(
        tokio::task::spawn_blocking(move || stopped.terminate())
            .await
            .unwrap()
            .success()
    );
    load.passes(500).await;
    let (passed, failed) = load.end().await;
    println!("calls that passed: {passed}; calls that failed: {}", failed.len());
    assert_eq!(failed, Vec::<String>::new());
}
