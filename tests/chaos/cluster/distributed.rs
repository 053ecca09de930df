//! Two nodes for each service, two gateways, PostgreSQL, RabbitMQ and Redis.

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
use crate::workload::receiver::Receiver;

/// Resources of the servers, released with the cluster.
#[derive(Default)]
pub(super) struct Servers {
    _folders: Vec<Folder>,
    _epmd: Option<Epmd>,
}

/// The fault weights of the gateways, the broker, the database and Redis. A broker takes long to come up,
/// so it fails less often.
const WEIGHTS: [(&str, usize); 5] = [
    ("gateway", 2),
    ("gateway-2", 2),
    ("rabbitmq", 1),
    ("postgres", 2),
    ("redis", 4),
];
const SERVICE_WEIGHT: usize = 2;
/// The second nodes, by the name of the first.
const SECOND: [(&str, &str); 5] = [
    ("auth", "auth-2"),
    ("users", "users-2"),
    ("todos", "todos-2"),
    ("jobs", "jobs-2"),
    ("gateway", "gateway-2"),
];

/// Builds the cluster, with further settings.
pub(super) async fn build(further: &[(&str, &str)]) -> Cluster {
    let [postgres_folder, rabbitmq_folder, redis_folder, folder] = [(); 4].map(|()| Folder::new());
    let (postgres, database_url) = servers::postgres(&postgres_folder);
    let (rabbitmq, rabbitmq_url, epmd) = servers::rabbitmq(&rabbitmq_folder);
    let (redis, redis_url) = servers::redis(&redis_folder);
    let mut server_nodes = [Node::new(postgres), Node::new(rabbitmq), Node::new(redis)];
    for server in &mut server_nodes {
        server.start();
    }
    for server in &mut server_nodes {
        server.wait_until_up().await.expect("the server comes up");
    }

    let mut settings = settings();
    settings.extend(further.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    settings.insert("REDIS_URL".into(), redis_url);
    settings.insert("RABBITMQ_URL".into(), rabbitmq_url.clone());
    let address = || format!("127.0.0.1:{}", servers::free_port(1));
    let mut stores = BTreeMap::new();
    // What each node is, and the settings of its own.
    let mut specs: Vec<(&'static str, &'static str, String, String)> = Vec::new();
    for service in SERVICES {
        let name = service.to_ascii_uppercase();
        let store = create_database(&database_url, service).await;
        settings.insert(format!("{name}_DATABASE_URL"), store.clone());
        stores.insert(service, store);
        let both = [address(), address()];
        let urls = both.each_ref().map(|address| format!("http://{address}"));
        settings.insert(format!("{name}_URL"), urls.join(","));
        for (node, address) in [service, second(service)].into_iter().zip(both) {
            specs.push((service, node, format!("{name}_GRPC_ADDRESS"), address));
        }
    }
    let gateways = vec![address(), address()];
    for (node, address) in ["gateway", second("gateway")].into_iter().zip(&gateways) {
        specs.push(("gateway", node, "HTTP_ADDRESS".into(), address.clone()));
    }
    // The commands that an operator runs read the addresses of the first nodes.
    for (program, node, setting, address) in &specs {
        if program == node {
            settings.insert(setting.clone(), address.clone());
        }
    }
    let programs = specs.into_iter().map(|(program, name, setting, address)| {
        let mut own = settings.clone();
        own.insert(setting, address.clone());
        Node::new(NodeSpec {
            name,
            command: vec![programs::path(program).into()],
            folder: folder.path().to_owned(),
            settings: own.into_iter().collect(),
            address,
            may_exit_on_start: false,
        })
    });
    let programs: Vec<Node> = programs.collect();
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
        rest: Rest::new(&gateways[0]),
        gateways,
        receiver: Receiver::start().await,
        rabbit: Some(rabbit.expect("the URL of the broker")),
        local_broker: None,
        settings,
        folder,
        _servers: Servers {
            _folders: vec![postgres_folder, rabbitmq_folder, redis_folder],
            _epmd: Some(epmd),
        },
    }
}

/// The name of the second node of a program.
fn second(program: &str) -> &'static str {
    let found = SECOND.iter().find(|(first, _)| *first == program);
    found.map_or("", |(_, second)| second)
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
