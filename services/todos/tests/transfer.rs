//! What other services call todos for, over gRPC, through the access layer.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use quartet_clock::Clock;
use quartet_proto::todos::v1 as pb;
use quartet_proto::todos::v1::transfer_service_client::TransferServiceClient;
use quartet_rpc::{Upstream, timestamp};
use quartet_testkit::database::{self, Fresh};
use quartet_testkit::identity::{Identity, service_request};
use quartet_testkit::stack;
use quartet_todos::{Config, Deps, PACKAGES, build};
use tonic::{Code, Request};

struct Todos {
    client: TransferServiceClient<Upstream>,
    clock: Clock,
    user: String,
    _fresh: Fresh,
}

impl Todos {
    async fn new() -> Self {
        let fresh = database::sqlite().await;
        let setting = fresh.setting();
        let config = Config::read(&quartet_config::Source::of([("TODOS_DATABASE_URL", setting.as_str())])).unwrap();
        let clock = Clock::manual(time::macros::datetime!(2026-01-01 00:00 UTC));
        let deps = Deps {
            clock: clock.clone(),
            broker: None,
            cache: quartet_cache::Cache::none(),
        };
        let service = build(config, deps).await.unwrap();
        let host = stack::host("todos", &clock, Upstream::local("auth").0);
        let upstream = stack::upstream(&host, PACKAGES, &service).await;
        Self {
            client: TransferServiceClient::new(upstream),
            user: clock.new_id().to_string(),
            clock,
            _fresh: fresh,
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        service_request("jobs", &self.clock, message)
    }

    async fn import(&mut self, import_id: &str, rows: Vec<pb::ImportRow>) -> pb::ImportTodosResponse {
        let request = self.request(pb::ImportTodosRequest {
            user_id: self.user.clone(),
            import_id: import_id.into(),
            rows,
            tier: String::new(),
        });
        self.client.import_todos(request).await.unwrap().into_inner()
    }

    async fn export(&mut self, page_token: String) -> pb::ExportTodosResponse {
        let request = self.request(pb::ExportTodosRequest {
            user_id: self.user.clone(),
            page_size: Some(2),
            page_token,
        });
        self.client.export_todos(request).await.unwrap().into_inner()
    }
}

fn row(line: i32, title: &str) -> pb::ImportRow {
    pb::ImportRow {
        line,
        title: title.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn users_and_superusers_are_refused() {
    let mut todos = Todos::new().await;
    for who in [Identity::user(&todos.clock), Identity::superuser(&todos.clock)] {
        let export = who.request(pb::ExportTodosRequest {
            user_id: who.id.to_string(),
            ..Default::default()
        });
        assert_eq!(
            todos.client.export_todos(export).await.unwrap_err().code(),
            Code::PermissionDenied
        );
        let purge = who.request(pb::PurgeDeletedTodosRequest::default());
        assert_eq!(
            todos.client.purge_deleted_todos(purge).await.unwrap_err().code(),
            Code::PermissionDenied
        );
    }
}

#[tokio::test]
async fn rows_that_break_a_rule_are_told_by_line_and_the_others_are_exported_again() {
    let mut todos = Todos::new().await;
    let import = todos.clock.new_id().to_string();
    let rows = || {
        vec![
            row(2, "one"),
            row(3, ""),
            pb::ImportRow {
                tags: vec!["home".into(), "x".repeat(31)],
                ..row(4, "tagged")
            },
            pb::ImportRow {
                tags: vec!["home".into()],
                completed: true,
                priority: 3,
                ..row(5, "two")
            },
            row(6, "three"),
        ]
    };
    for _ in 0..2 {
        let reply = todos.import(&import, rows()).await;
        let errors: Vec<_> = reply
            .errors
            .iter()
            .map(|error| (error.line, error.field.as_str()))
            .collect();
        assert_eq!((reply.imported, errors), (3, vec![(3, "title"), (4, "tags[1]")]));
    }
    let first = todos.export(String::new()).await;
    let second = todos.export(first.next_page_token.clone()).await;
    let titles: Vec<_> = first
        .data
        .iter()
        .chain(&second.data)
        .map(|todo| todo.title.as_str())
        .collect();
    assert_eq!(
        (titles, first.total_count, second.next_page_token.as_str()),
        (vec!["one", "two", "three"], 3, "")
    );
    let two = &first.data[1];
    assert_eq!(
        (two.completed, two.priority, two.tags[0].name.as_str()),
        (true, 3, "home")
    );
    assert_eq!(
        todos.import(&todos.clock.new_id().to_string(), rows()).await.imported,
        3,
        "another import is another"
    );
    assert_eq!(todos.export(String::new()).await.total_count, 6);
}

#[tokio::test]
async fn what_is_due_is_listed_for_services() {
    let mut todos = Todos::new().await;
    let now = todos.clock.now();
    let due_at = Some(timestamp::to_proto(now + time::Duration::MINUTE));
    let import = todos.clock.new_id().to_string();
    todos
        .import(
            &import,
            vec![
                pb::ImportRow {
                    due_at,
                    ..row(1, "soon")
                },
                row(2, "never"),
            ],
        )
        .await;
    let request = pb::ListDueTodosRequest {
        due_after: Some(timestamp::to_proto(now)),
        due_before: Some(timestamp::to_proto(now + time::Duration::HOUR)),
        ..Default::default()
    };
    let due = todos
        .client
        .list_due_todos(todos.request(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (due.data.len(), due.data[0].title.as_str(), due.data[0].due_at),
        (1, "soon", due_at)
    );
    assert_eq!(due.data[0].user_id, todos.user);
    let request = todos.request(pb::ListDueTodosRequest::default());
    assert_eq!(
        todos.client.list_due_todos(request).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}
