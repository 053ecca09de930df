//! The RPCs of the service, one file each. This file is their table of contents.

mod batch_create_todos;
mod batch_delete_todos;
mod complete_todo;
mod convert;
mod create_tag;
mod create_todo;
mod delete_tag;
mod delete_todo;
mod export_todos;
mod get_tag;
mod get_todo;
mod import_todos;
mod list_due_todos;
mod list_tags;
mod list_todos;
mod purge_deleted_todos;
mod purge_todo;
mod reopen_todo;
mod restore_todo;
mod update_tag;
mod update_todo;
mod watch_todos;

use std::sync::Arc;

use quartet_clock::Clock;
use quartet_kernel::KeptReplies;
use quartet_proto::todos::v1 as pb;
use quartet_proto::todos::v1::tag_service_server::{TagService, TagServiceServer};
use quartet_proto::todos::v1::todo_service_server::{TodoService, TodoServiceServer};
use quartet_proto::todos::v1::transfer_service_server::{TransferService, TransferServiceServer};
use quartet_rpc::{Call, User};
use quartet_store::Context;
use tonic::service::RoutesBuilder;

use crate::domain::Limits;
use crate::feed::Feed;
use crate::quotas::Quotas;
use crate::store::Store;

/// What every RPC works with.
#[derive(Clone)]
pub(crate) struct Rpc {
    store: Arc<dyn Store>,
    clock: Clock,
    feed: Feed,
    replies: Arc<dyn KeptReplies>,
    quotas: Arc<Quotas>,
}

impl Rpc {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        feed: Feed,
        replies: Arc<dyn KeptReplies>,
        quotas: Quotas,
    ) -> Self {
        Self {
            store,
            clock,
            feed,
            replies,
            quotas: Arc::new(quotas),
        }
    }

    /// How much a user may have.
    fn limits(&self, user: &User) -> Limits {
        self.quotas.of(user.tier.as_deref())
    }

    /// What the store has to know of a call.
    fn cx(&self, call: &Call) -> Context {
        Context {
            now: self.clock.now(),
            deadline: call.deadline,
            trace: call.trace.clone(),
            scope: call.scope.clone(),
            precondition: None,
            provenance: None,
        }
    }

    pub(crate) fn add_to(self, routes: &mut RoutesBuilder) {
        routes
            .add_service(TodoServiceServer::new(self.clone()))
            .add_service(TagServiceServer::new(self.clone()))
            .add_service(TransferServiceServer::new(self));
    }
}

quartet_rpc::methods! {
    impl TodoService for Rpc {
        list_todos(pb::ListTodosRequest) -> pb::ListTodosResponse;
        get_todo(pb::GetTodoRequest) -> pb::Todo;
        create_todo(pb::CreateTodoRequest) -> pb::Todo;
        update_todo(pb::UpdateTodoRequest) -> pb::Todo;
        delete_todo(pb::DeleteTodoRequest) -> ();
        restore_todo(pb::RestoreTodoRequest) -> pb::Todo;
        purge_todo(pb::PurgeTodoRequest) -> ();
        complete_todo(pb::CompleteTodoRequest) -> pb::Todo;
        reopen_todo(pb::ReopenTodoRequest) -> pb::Todo;
        batch_create_todos(pb::BatchCreateTodosRequest) -> pb::BatchCreateTodosResponse;
        batch_delete_todos(pb::BatchDeleteTodosRequest) -> ();
        watch_todos(pb::WatchTodosRequest) -> stream WatchTodosStream;
    }
}

quartet_rpc::methods! {
    impl TagService for Rpc {
        list_tags(pb::ListTagsRequest) -> pb::ListTagsResponse;
        get_tag(pb::GetTagRequest) -> pb::Tag;
        create_tag(pb::CreateTagRequest) -> pb::Tag;
        update_tag(pb::UpdateTagRequest) -> pb::Tag;
        delete_tag(pb::DeleteTagRequest) -> ();
    }
}

quartet_rpc::methods! {
    impl TransferService for Rpc {
        export_todos(pb::ExportTodosRequest) -> pb::ExportTodosResponse;
        import_todos(pb::ImportTodosRequest) -> pb::ImportTodosResponse;
        list_due_todos(pb::ListDueTodosRequest) -> pb::ListDueTodosResponse;
        purge_deleted_todos(pb::PurgeDeletedTodosRequest) -> pb::PurgeDeletedTodosResponse;
    }
}
