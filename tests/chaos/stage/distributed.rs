//! Each service as a process of its own, on PostgreSQL, with RabbitMQ between them.

use std::collections::BTreeMap;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_config::Secret;
use quartet_messaging::Rabbit;
use quartet_tests::process::Folder;
use quartet_tests::suite::SERVICES;
use quartet_tests::{Rest, programs};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{Stage, settings};
use crate::books::Books;
use crate::part::{Part, Start};
use crate::server::{self, Epmd};

/// What goes when the stage does.
#[derive(Default)]
pub(super) struct Held {
    _folders: Vec<Folder>,
    _epmd: Option<Epmd>,
}

/// How often a service, the gateway, the broker and the database are targets. A broker takes long to come up, so it falls less often.
const WEIGHTS: [(&str, usize); 3] = [("gateway", 2), ("rabbitmq", 1), ("postgres", 2)];
const SERVICE_WEIGHT: usize = 4;

pub(super) async fn build() -> Stage {
    let [postgres_folder, rabbitmq_folder, folder] = [(); 3].map(|()| Folder::new());
    let (postgres, database_url) = server::postgres(&postgres_folder);
    let (rabbitmq, rabbitmq_url, epmd) = server::rabbitmq(&rabbitmq_folder);
    let mut servers = [Part::new(postgres), Part::new(rabbitmq)];
    for server in &mut servers {
        server.raise();
    }
    for server in &mut servers {
        server.up().await.expect("the server comes up");
    }

    let mut settings = settings();
    let http = format!("127.0.0.1:{}", server::free_port(1));
    settings.insert("HTTP_ADDRESS".into(), http.clone());
    settings.insert("RABBITMQ_URL".into(), rabbitmq_url.clone());
    let (mut stores, mut addresses) = (BTreeMap::new(), BTreeMap::new());
    for service in SERVICES {
        let (name, address) = (
            service.to_ascii_uppercase(),
            format!("127.0.0.1:{}", server::free_port(1)),
        );
        let store = database(&database_url, service).await;
        settings.insert(format!("{name}_DATABASE_URL"), store.clone());
        settings.insert(format!("{name}_GRPC_ADDRESS"), address.clone());
        settings.insert(format!("{name}_URL"), format!("http://{address}"));
        stores.insert(service, store);
        addresses.insert(service, address);
    }
    addresses.insert("gateway", http.clone());
    let start = |(name, address): (&'static str, String)| Start {
        name,
        command: vec![programs::path(name).into()],
        folder: folder.path().to_owned(),
        settings: settings.clone().into_iter().collect(),
        address,
        stumbles: false,
    };
    // A second worker takes over what the first one has let go, and is not told when that one comes back to life.
    let address = format!("127.0.0.1:{}", server::free_port(1));
    let mut worker = start(("jobs", address.clone()));
    worker.name = "worker";
    worker.settings.extend([
        ("JOBS_GRPC_ADDRESS".into(), address),
        ("JOBS_ROLE".into(), "worker".into()),
    ]);
    let programs = addresses.into_iter().map(start).chain([worker]).map(Part::new);
    let parts: Vec<Part> = servers.into_iter().chain(programs).collect();
    let weight = |part: &Part| {
        WEIGHTS
            .iter()
            .find(|(name, _)| *name == part.name())
            .map_or(SERVICE_WEIGHT, |(_, weight)| *weight)
    };
    let timeout = Duration::from_secs(10);
    let rabbit = Rabbit::new(&Secret::new(rabbitmq_url), "chaos", Clock::system(), timeout);
    Stage {
        name: "distributed",
        weights: parts.iter().map(weight).collect(),
        parts,
        books: Books::Postgres(stores),
        rest: Rest::new(&http),
        address: http,
        rabbit: Some(rabbit.expect("the URL of the broker")),
        local_broker: None,
        settings,
        folder,
        _held: Held {
            _folders: vec![postgres_folder, rabbitmq_folder],
            _epmd: Some(epmd),
        },
    }
}

/// Makes a database; its URL. The port is open a moment before the server takes connections.
async fn database(server: &str, name: &str) -> String {
    let mut tries = 0;
    let mut connection = loop {
        match PgConnection::connect(&format!("{server}/postgres")).await {
            Ok(connection) => break connection,
            Err(error) => assert!(tries < 100, "PostgreSQL does not answer: {error}"),
        }
        tries += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let made = sqlx::raw_sql(AssertSqlSafe(format!("create database {name}")))
        .execute(&mut connection)
        .await;
    made.expect("a database is made");
    format!("{server}/{name}")
}
