//! The RPCs as a client meets them: over gRPC, through the access layer.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "rpc/watch.rs"]
mod watch;

use quartet_clock::Clock;
use quartet_proto::todos::v1 as pb;
use quartet_proto::todos::v1::tag_service_client::TagServiceClient;
use quartet_proto::todos::v1::todo_service_client::TodoServiceClient;
use quartet_rpc::Upstream;
use quartet_rpc::failure::reason_of;
use quartet_rpc::host::{Host, Hosted};
use quartet_testkit::database::{self, Fresh};
use quartet_testkit::identity::{Identity, service_request};
use quartet_testkit::stack;
use quartet_todos::{Config, Deps, PACKAGES, build};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

struct Todos {
    client: TodoServiceClient<Upstream>,
    tags: TagServiceClient<Upstream>,
    clock: Clock,
    user: Identity,
    host: Host,
    stop: DropGuard,
    fresh: Fresh,
}

impl Todos {
    async fn new() -> Self {
        Self::over(database::sqlite().await).await
    }

    async fn over(fresh: Fresh) -> Self {
        let clock = Clock::manual(time::macros::datetime!(2026-01-01 00:00 UTC));
        Self::instance(fresh, clock).await
    }

    /// An instance of the service; several may share a database.
    async fn instance(fresh: Fresh, clock: Clock) -> Self {
        let setting = fresh.setting();
        let settings = [
            ("TODOS_DATABASE_URL", setting.as_str()),
            ("TODOS_WATCH_SEND_TIMEOUT", "200ms"),
        ];
        let config = Config::read(&quartet_config::Source::of(settings)).unwrap();
        let deps = Deps {
            clock: clock.clone(),
            broker: None,
            cache: quartet_cache::Cache::none(),
        };
        let service = build(config, deps).await.unwrap();
        let host = stack::host("todos", &clock, Upstream::local("auth").0);
        let upstream = stack::upstream(&host, PACKAGES, &service).await;
        let stop = CancellationToken::new();
        tokio::spawn(service.run(stop.clone()));
        let (client, tags) = (
            TodoServiceClient::new(upstream.clone()),
            TagServiceClient::new(upstream),
        );
        Self {
            client,
            tags,
            user: Identity::user(&clock),
            clock,
            host,
            stop: stop.drop_guard(),
            fresh,
        }
    }

    async fn create(&mut self, todo: pb::CreateTodoRequest) -> Result<pb::Todo, Status> {
        self.client
            .create_todo(self.user.request(todo))
            .await
            .map(tonic::Response::into_inner)
    }

    async fn get(&mut self, who: &Identity, todo_id: &str) -> Result<pb::Todo, Status> {
        self.client
            .get_todo(who.request(pb::GetTodoRequest {
                todo_id: todo_id.into(),
            }))
            .await
            .map(tonic::Response::into_inner)
    }
}

fn titled(title: &str) -> pb::CreateTodoRequest {
    pb::CreateTodoRequest {
        title: title.into(),
        ..Default::default()
    }
}

/// The fields that a refusal names.
fn fields(status: &Status) -> Vec<String> {
    status
        .get_details_bad_request()
        .map(|bad| bad.field_violations.into_iter().map(|field| field.field).collect())
        .unwrap_or_default()
}

#[tokio::test]
async fn another_users_todo_is_not_found() {
    let mut todos = Todos::new().await;
    let todo = todos.create(titled("mine")).await.unwrap();
    let other = Identity::superuser(&todos.clock);
    let status = todos.get(&other, &todo.id).await.unwrap_err();
    assert_eq!(
        (status.code(), reason_of(&status).as_deref()),
        (Code::NotFound, Some("TODO_NOT_FOUND"))
    );
}

#[tokio::test]
async fn every_broken_field_is_named_at_once() {
    let mut todos = Todos::new().await;
    let request = pb::CreateTodoRequest {
        title: "x".repeat(101),
        description: Some("a\0b".into()),
        priority: 9,
        tag_ids: vec!["nonsense".into()],
        ..Default::default()
    };
    let status = todos.create(request.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(fields(&status), ["title", "description", "priority", "tag_ids[0]"]);

    let batch = pb::BatchCreateTodosRequest {
        todos: vec![titled("fine"), request],
    };
    let status = todos
        .client
        .batch_create_todos(todos.user.request(batch))
        .await
        .unwrap_err();
    assert_eq!(fields(&status)[0], "todos[1].title");
}

#[tokio::test]
async fn a_mask_decides_what_an_update_writes() {
    let mut todos = Todos::new().await;
    let new = pb::CreateTodoRequest {
        description: Some("old".into()),
        priority: 3,
        ..titled("title")
    };
    let todo = todos.create(new).await.unwrap();
    let update = |paths: &[&str], edit: pb::TodoEdit| pb::UpdateTodoRequest {
        todo_id: todo.id.clone(),
        todo: Some(edit),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(ToString::to_string).collect(),
        }),
        etag: String::new(),
    };

    let cleared = todos
        .client
        .update_todo(todos.user.request(update(&["description"], pb::TodoEdit::default())))
        .await
        .unwrap();
    let cleared = cleared.into_inner();
    assert_eq!(
        (cleared.title.as_str(), cleared.description, cleared.priority),
        ("title", None, 3)
    );

    let whole = pb::TodoEdit {
        title: "new".into(),
        ..Default::default()
    };
    let replaced = todos
        .client
        .update_todo(todos.user.request(update(&[], whole)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((replaced.title.as_str(), replaced.priority), ("new", 0));

    let unknown = todos
        .client
        .update_todo(todos.user.request(update(&["user_id"], pb::TodoEdit::default())))
        .await
        .unwrap_err();
    assert_eq!(fields(&unknown), ["update_mask"]);
}

#[tokio::test]
async fn batches_are_bounded() {
    let mut todos = Todos::new().await;
    for size in [0, 101] {
        let batch = pb::BatchCreateTodosRequest {
            todos: vec![titled("one"); size],
        };
        let status = todos
            .client
            .batch_create_todos(todos.user.request(batch))
            .await
            .unwrap_err();
        assert_eq!(fields(&status), ["todos"], "{size}");
    }
    let batch = pb::BatchCreateTodosRequest {
        todos: vec![titled("one"); 100],
    };
    assert_eq!(
        todos
            .client
            .batch_create_todos(todos.user.request(batch))
            .await
            .unwrap()
            .into_inner()
            .data
            .len(),
        100
    );
}

#[tokio::test]
async fn a_page_token_belongs_to_its_list() {
    let mut todos = Todos::new().await;
    for title in ["one", "two", "three"] {
        todos.create(titled(title)).await.unwrap();
    }
    let first = pb::ListTodosRequest {
        page_size: Some(2),
        ..Default::default()
    };
    let first = todos
        .client
        .list_todos(todos.user.request(first))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((first.data.len(), first.total_count, first.has_more), (2, 3, true));

    let token = first.next_page_token;
    let next = pb::ListTodosRequest {
        page_size: Some(2),
        page_token: token.clone(),
        ..Default::default()
    };
    let next = todos
        .client
        .list_todos(todos.user.request(next))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (next.data[0].title.as_str(), next.total_count, next.has_more),
        ("one", 3, false)
    );

    let elsewhere = pb::ListTodosRequest {
        sort: "title".into(),
        page_token: token.clone(),
        ..Default::default()
    };
    let status = todos
        .client
        .list_todos(todos.user.request(elsewhere))
        .await
        .unwrap_err();
    assert_eq!(fields(&status), ["page_token"]);
    let stranger = Identity::user(&todos.clock);
    let stolen = pb::ListTodosRequest {
        page_token: token,
        ..Default::default()
    };
    assert_eq!(
        fields(&todos.client.list_todos(stranger.request(stolen)).await.unwrap_err()),
        ["page_token"]
    );
}

#[tokio::test]
async fn a_tag_name_is_taken_once() {
    let mut todos = Todos::new().await;
    let tag = || pb::CreateTagRequest { name: "home".into() };
    todos.tags.create_tag(todos.user.request(tag())).await.unwrap();
    let status = todos.tags.create_tag(todos.user.request(tag())).await.unwrap_err();
    assert_eq!(
        (status.code(), reason_of(&status).as_deref()),
        (Code::AlreadyExists, Some("TAG_NAME_TAKEN"))
    );
}

#[tokio::test]
async fn only_superusers_purge() {
    let mut todos = Todos::new().await;
    let todo = todos.create(titled("mine")).await.unwrap();
    let purge = || pb::PurgeTodoRequest {
        todo_id: todo.id.clone(),
        etag: String::new(),
    };
    let status = todos.client.purge_todo(todos.user.request(purge())).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let superuser = Identity::superuser(&todos.clock);
    todos.client.purge_todo(superuser.request(purge())).await.unwrap();
    let user = todos.user.clone();
    assert_eq!(todos.get(&user, &todo.id).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn strangers_services_and_expired_tokens_are_refused() {
    let mut todos = Todos::new().await;
    let get = || pb::GetTodoRequest {
        todo_id: uuid::Uuid::nil().to_string(),
    };
    let refused = async |request, todos: &mut Todos| {
        let status = todos.client.get_todo(request).await.unwrap_err();
        (status.code(), reason_of(&status).unwrap_or_default())
    };
    assert_eq!(
        refused(Request::new(get()), &mut todos).await,
        (Code::Unauthenticated, "TOKEN_MISSING".into())
    );
    let service = service_request("users", &todos.clock, get());
    assert_eq!(
        refused(service, &mut todos).await,
        (Code::PermissionDenied, "PERMISSION_DENIED".into())
    );
    let mine = todos.user.request(get());
    assert_eq!(
        refused(mine, &mut todos).await,
        (Code::NotFound, "TODO_NOT_FOUND".into())
    );
    todos.clock.advance(time::Duration::minutes(16));
    let late = todos.user.request(get());
    assert_eq!(
        refused(late, &mut todos).await,
        (Code::Unauthenticated, "TOKEN_EXPIRED".into())
    );
}

#[tokio::test]
async fn work_is_not_begun_after_the_deadline() {
    let mut todos = Todos::new().await;
    let mut request = todos.user.request(titled("too late"));
    request.set_timeout(std::time::Duration::ZERO);
    assert_eq!(
        todos.client.create_todo(request).await.unwrap_err().code(),
        Code::DeadlineExceeded
    );
    let list = todos
        .client
        .list_todos(todos.user.request(pb::ListTodosRequest::default()))
        .await
        .unwrap();
    assert_eq!(list.into_inner().total_count, 0);
}
