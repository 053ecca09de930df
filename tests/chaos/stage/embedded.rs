//! The suite in one process, on SQLite, with the broker within.

use quartet_tests::process::Folder;
use quartet_tests::suite::SERVICES;
use quartet_tests::{Rest, programs};

use super::{Stage, distributed, settings};
use crate::books::Books;
use crate::part::{Part, Start};
use crate::server;

pub(super) fn build() -> Stage {
    let folder = Folder::new();
    let [http, grpc] = [(); 2].map(|()| format!("127.0.0.1:{}", server::free_port(1)));
    let mut settings = settings();
    settings.insert("HTTP_ADDRESS".into(), http.clone());
    settings.insert("GRPC_ADDRESS".into(), grpc);
    let store = |name: &str| folder.path().join(format!("data/{name}.db"));
    let stores = SERVICES.map(|service| (service, store(service).display().to_string()));
    let start = Start {
        name: "quartet",
        command: vec![programs::path("quartet").into()],
        folder: folder.path().to_owned(),
        settings: settings.clone().into_iter().collect(),
        address: http.clone(),
        stumbles: false,
    };
    Stage {
        name: "embedded",
        parts: vec![Part::new(start)],
        weights: vec![1],
        books: Books::Sqlite(stores.into()),
        rest: Rest::new(&http),
        address: http,
        rabbit: None,
        local_broker: Some(store("broker")),
        settings,
        folder,
        _held: distributed::Held::default(),
    }
}
