//! Backups, restored elsewhere: of the suite in one process, taken under load, and of databases on
//! PostgreSQL as docs/operations.md describes it.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;
use quartet_testkit::rabbitmq;
use quartet_tests::app::eventually;
use quartet_tests::suite::SERVICES;
use quartet_tests::{App, Person, mail, programs};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// Bound on what follows from writes.
const SOON: Duration = Duration::from_secs(30);

/// What clients have written, in the order of the answers.
#[derive(Default)]
struct Written {
    people: Vec<Person>,
    /// The owner's place among the people, the id and the title.
    todos: Vec<(usize, String, String)>,
}

/// Registers people and makes todos until `stopped`.
async fn write(app: &App, written: &Mutex<Written>, stopped: &AtomicBool) {
    for round in 0.. {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        if round % 10 == 0 {
            let person = app.register().await;
            written.lock().people.push(person);
        }
        let (owner, person) = {
            let people = &written.lock().people;
            (people.len() - 1, people[people.len() - 1].clone())
        };
        let title = format!("todo {round}");
        let reply = person.post("/api/v1/todos", json!({"title": title})).await.expect(201);
        let id = reply["id"].as_str().unwrap().to_owned();
        written.lock().todos.push((owner, id, title));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_under_load_is_the_suite_at_one_moment() {
    let mut app = App::own(&[]);
    let (written, stopped) = (Arc::new(Mutex::new(Written::default())), AtomicBool::new(false));
    let (people, todos) = {
        let under_load = async {
            let written = written.clone();
            eventually(SOON, "there is load", async || {
                (written.lock().todos.len() > 20).then_some(())
            })
            .await;
            let before = {
                let written = written.lock();
                (written.people.len(), written.todos.len())
            };
            let suite = app.suite();
            tokio::task::block_in_place(|| suite.command(&["backup", "backup/"]));
            let during = written.lock().todos.len();
            eventually(SOON, "writes go on", async || {
                (written.lock().todos.len() > during + 5).then_some(())
            })
            .await;
            stopped.store(true, Ordering::SeqCst);
            before
        };
        let load = async { tokio::join!(write(&app, &written, &stopped), write(&app, &written, &stopped)) };
        tokio::join!(under_load, load).0
    };
    app.suite().kill();
    let elsewhere = [("DATA_DIR", "elsewhere")];
    let refused = restore(&app, &[]);
    assert!(refused.contains("is there already"), "{refused}");
    let refused = restore(&app, &elsewhere);
    assert!(refused.contains("mail is not empty"), "{refused}");
    let folder = app.suite().mail_folder();
    std::fs::remove_dir_all(&folder).unwrap();
    // The journal of another store would be replayed into the restored one.
    let root = folder.parent().unwrap();
    std::fs::create_dir(root.join("elsewhere")).unwrap();
    std::fs::write(root.join("elsewhere/auth.db-wal"), "of another").unwrap();
    let refused = restore(&app, &elsewhere);
    assert!(refused.contains("auth.db-wal is there already"), "{refused}");
    std::fs::remove_file(root.join("elsewhere/auth.db-wal")).unwrap();
    let restored = restore(&app, &elsewhere);
    assert!(restored.contains("restored the backup"), "{restored}");
    app.suite_mut().restart_with(&elsewhere);

    // What was acknowledged before the backup began is there.
    let Written {
        people: all,
        todos: made,
    } = std::mem::take(&mut *written.lock());
    for person in &all[..people] {
        let back = app.login(person).await;
        assert_eq!(back.get("/api/v1/users/me").await.expect(200)["id"], person.id.as_str());
    }
    for (owner, id, title) in &made[..todos] {
        let todo = all[*owner].get(&format!("/api/v1/todos/{id}")).await.expect(200);
        assert_eq!(todo["title"], title.as_str());
    }
    is_whole(&app, &all).await;
    // A backup that has changed is refused before anything is written.
    std::fs::write(root.join("backup/users.db"), "nothing").unwrap();
    let refused = restore(&app, &[("DATA_DIR", "third")]);
    assert!(refused.contains("users.db has changed"), "{refused}");
    assert!(!root.join("third").exists());
}

/// Whatever there is of these people is whole: a session that counts has its user, and each account
/// its mails.
async fn is_whole(app: &App, people: &[Person]) {
    for person in people {
        let me = person.call(Method::GET, "/api/v1/users/me").send().await;
        match me.status {
            200 => {
                let listed = person.get("/api/v1/todos?items_per_page=100").await.expect(200);
                let (count, total) = (listed["data"].as_array().map(Vec::len), &listed["total_count"]);
                assert_eq!(count.map(Value::from).as_ref(), Some(total), "{listed}");
                assert_eq!(mail::count_with_subject(app, &person.email, "Welcome").await, 1);
            }
            status => assert_eq!(status, 401, "{}", me.text()),
        }
    }
}

/// Runs `quartet restore backup` with further settings; returns what it printed.
fn restore(app: &App, settings: &[(&str, &str)]) -> String {
    let mut command = Command::new(programs::path("quartet"));
    command.args(["restore", "backup"]).env_clear();
    let command = app.suite().in_environment(&mut command).envs(settings.iter().copied());
    let output = command.output().unwrap();
    [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat()
}

/// All databases of one server at one moment, as a recovery to a point in time leaves them, beside an
/// empty broker: docs/operations.md.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and RabbitMQ: make test"]
async fn databases_restored_to_one_moment_beside_an_empty_broker_are_the_suite() {
    let mut app = App::own_distributed(&[]);
    let (written, stopped) = (Mutex::new(Written::default()), AtomicBool::new(false));
    let crash = async {
        eventually(SOON, "there is load", async || {
            (written.lock().todos.len() > 40).then_some(())
        })
        .await;
        tokio::task::block_in_place(|| app.suite().kill());
        stopped.store(true, Ordering::SeqCst);
    };
    tokio::select! {
        () = crash => {}
        () = async { tokio::join!(write(&app, &written, &stopped), write(&app, &written, &stopped)); } => {}
    }
    let mut elsewhere = Vec::new();
    for service in SERVICES {
        let url = restored(app.suite().database(service)).await;
        elsewhere.push((format!("{}_DATABASE_URL", service.to_ascii_uppercase()), url));
    }
    let broker = rabbitmq::vhost().expect("make test starts a RabbitMQ server");
    elsewhere.push(("RABBITMQ_URL".to_owned(), broker));
    let elsewhere: Vec<_> = elsewhere.iter().map(|(name, value)| (&**name, &**value)).collect();
    app.suite_mut().restart_with(&elsewhere);

    let Written { people, todos } = written.into_inner();
    for (owner, id, title) in &todos {
        let todo = people[*owner].get(&format!("/api/v1/todos/{id}")).await.expect(200);
        assert_eq!(todo["title"], title.as_str());
    }
    is_whole(&app, &people).await;
}

/// Copies a database, and publishes the messages of the last hour again, since its broker is gone;
/// returns the URL of the copy.
async fn restored(url: &str) -> String {
    let (server, name) = url.rsplit_once('/').unwrap();
    let copy = format!("{name}_restored");
    let mut connection = PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
    // Backends of killed processes may take a moment to end.
    let end = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = $1";
    sqlx::query(end).bind(name).execute(&mut connection).await.unwrap();
    let create = format!("create database {copy} template {name}");
    connection.execute(AssertSqlSafe(create)).await.unwrap();
    let restored = format!("{server}/{copy}");
    let mut connection = PgConnection::connect(&restored).await.unwrap();
    let again = "update outbox set sent_at = null where sent_at > now() - interval '1 hour'";
    connection.execute(again).await.unwrap();
    restored
}
