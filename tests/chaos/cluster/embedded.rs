//! One node: the suite in one process, on SQLite, with the broker within.

use quartet_tests::process::Folder;
use quartet_tests::suite::SERVICES;
use quartet_tests::{Rest, programs};

use super::node::{Node, NodeSpec};
use super::{Cluster, distributed, servers, settings};
use crate::stores::Stores;
use crate::workload::receiver::Receiver;

pub(super) async fn build(further: &[(&str, &str)]) -> Cluster {
    let folder = Folder::new();
    let [http, grpc] = [(); 2].map(|()| format!("127.0.0.1:{}", servers::free_port(1)));
    let mut settings = settings();
    settings.extend(further.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    settings.insert("HTTP_ADDRESS".into(), http.clone());
    settings.insert("GRPC_ADDRESS".into(), grpc);
    let store = |name: &str| folder.path().join(format!("data/{name}.db"));
    let stores = SERVICES.map(|service| (service, store(service).display().to_string()));
    let spec = NodeSpec {
        name: "quartet",
        command: vec![programs::path("quartet").into()],
        folder: folder.path().to_owned(),
        settings: settings.clone().into_iter().collect(),
        address: http.clone(),
        may_exit_on_start: false,
    };
    Cluster {
        name: "embedded",
        nodes: vec![Node::new(spec)],
        fault_weights: vec![1],
        stores: Stores::Sqlite(stores.into()),
        rest: Rest::new(&http),
        gateways: vec![http],
        receiver: Receiver::start().await,
        rabbit: None,
        local_broker: Some(store("broker")),
        settings,
        folder,
        _servers: distributed::Servers::default(),
    }
}
