//! A node for each service, a second worker, the gateway, PostgreSQL and RabbitMQ.

use std::collections::BTreeMap;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_config::Secret;
use quartet_messaging::Rabbit;
use quartet_tests::process::Folder;
use quartet_tests::suite::SERVICES;
use quartet_tests::{Rest, programs};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::node::{Node, NodeSpec};
use super::servers::{self, Epmd};
use super::{Cluster, settings};
use crate::stores::Stores;

/// Resources of the servers, released with the cluster.
#[derive(Default)]
pub(super) struct Servers {
    _folders: Vec<Folder>,
    _epmd: Option<Epmd>,
}

/// The fault weights of the gateway, the broker and the database. A broker takes long to come up,
/// so it fails less often.
const WEIGHTS: [(&str, usize); 3] = [("gateway", 2), ("rabbitmq", 1), ("postgres", 2)];
const SERVICE_WEIGHT: usize = 4;

pub(super) async fn build() -> Cluster {
    let [postgres_folder, rabbitmq_folder, folder] = [(); 3].map(|()| Folder::new());
    let (postgres, database_url) = servers::postgres(&postgres_folder);
    let (rabbitmq, rabbitmq_url, epmd) = servers::rabbitmq(&rabbitmq_folder);
    let mut server_nodes = [Node::new(postgres), Node::new(rabbitmq)];
    for server in &mut server_nodes {
        server.start();
    }
    for server in &mut server_nodes {
        server.wait_until_up().await.expect("the server comes up");
    }

    let mut settings = settings();
    let http = format!("127.0.0.1:{}", servers::free_port(1));
    settings.insert("HTTP_ADDRESS".into(), http.clone());
    settings.insert("RABBITMQ_URL".into(), rabbitmq_url.clone());
    let (mut stores, mut addresses) = (BTreeMap::new(), BTreeMap::new());
    for service in SERVICES {
        let (name, address) = (
            service.to_ascii_uppercase(),
            format!("127.0.0.1:{}", servers::free_port(1)),
        );
        let store = create_database(&database_url, service).await;
        settings.insert(format!("{name}_DATABASE_URL"), store.clone());
        settings.insert(format!("{name}_GRPC_ADDRESS"), address.clone());
        settings.insert(format!("{name}_URL"), format!("http://{address}"));
        stores.insert(service, store);
        addresses.insert(service, address);
    }
    addresses.insert("gateway", http.clone());
    let spec = |(name, address): (&'static str, String)| NodeSpec {
        name,
        command: vec![programs::path(name).into()],
        folder: folder.path().to_owned(),
        settings: settings.clone().into_iter().collect(),
        address,
        may_exit_on_start: false,
    };
    // A second worker claims the jobs of the first one when their leases run out, also while the
    // first one is only paused.
    let address = format!("127.0.0.1:{}", servers::free_port(1));
    let mut worker = spec(("jobs", address.clone()));
    worker.name = "worker";
    worker.settings.extend([
        ("JOBS_GRPC_ADDRESS".into(), address),
        ("JOBS_ROLE".into(), "worker".into()),
    ]);
    let programs = addresses.into_iter().map(spec).chain([worker]).map(Node::new);
    let nodes: Vec<Node> = server_nodes.into_iter().chain(programs).collect();
    let weight = |node: &Node| {
        WEIGHTS
            .iter()
            .find(|(name, _)| *name == node.name())
            .map_or(SERVICE_WEIGHT, |(_, weight)| *weight)
    };
    let timeout = Duration::from_secs(10);
    let rabbit = Rabbit::new(&Secret::new(rabbitmq_url), "chaos", Clock::system(), timeout);
    Cluster {
        name: "distributed",
        fault_weights: nodes.iter().map(weight).collect(),
        nodes,
        stores: Stores::Postgres(stores),
        rest: Rest::new(&http),
        address: http,
        rabbit: Some(rabbit.expect("the URL of the broker")),
        local_broker: None,
        settings,
        folder,
        _servers: Servers {
            _folders: vec![postgres_folder, rabbitmq_folder],
            _epmd: Some(epmd),
        },
    }
}

/// Creates a database; returns its URL. The port opens shortly before the server accepts
/// connections.
async fn create_database(server: &str, name: &str) -> String {
    let mut tries = 0;
    let mut connection = loop {
        match PgConnection::connect(&format!("{server}/postgres")).await {
            Ok(connection) => break connection,
            Err(error) => assert!(tries < 100, "PostgreSQL does not answer: {error}"),
        }
        tries += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let created = sqlx::raw_sql(AssertSqlSafe(format!("create database {name}")))
        .execute(&mut connection)
        .await;
    created.expect("a database is created");
    format!("{server}/{name}")
}
