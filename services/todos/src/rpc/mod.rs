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
mod resume_token;
mod update_tag;
mod update_todo;
mod watch_todos;

use std::sync::Arc;

use async_trait::async_trait;
use quartet_clock::Clock;
use quartet_proto::todos::v1 as pb;
use quartet_proto::todos::v1::tag_service_server::{TagService, TagServiceServer};
use quartet_proto::todos::v1::todo_service_server::{TodoService, TodoServiceServer};
use quartet_proto::todos::v1::transfer_service_server::{TransferService, TransferServiceServer};
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};

use crate::feed::Feed;
use crate::store::Store;

/// What every RPC works with.
#[derive(Clone)]
pub(crate) struct Rpc {
    store: Arc<dyn Store>,
    clock: Clock,
    feed: Feed,
}

impl Rpc {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, feed: Feed) -> Self {
        Self { store, clock, feed }
    }

    pub(crate) fn add_to(self, routes: &mut RoutesBuilder) {
        routes
            .add_service(TodoServiceServer::new(self.clone()))
            .add_service(TagServiceServer::new(self.clone()))
            .add_service(TransferServiceServer::new(self));
    }
}

#[async_trait]
impl TodoService for Rpc {
    async fn list_todos(
        &self,
        request: Request<pb::ListTodosRequest>,
    ) -> Result<Response<pb::ListTodosResponse>, Status> {
        Ok(list_todos::handle(self, request).await?)
    }

    async fn get_todo(&self, request: Request<pb::GetTodoRequest>) -> Result<Response<pb::Todo>, Status> {
        Ok(get_todo::handle(self, request).await?)
    }

    async fn create_todo(&self, request: Request<pb::CreateTodoRequest>) -> Result<Response<pb::Todo>, Status> {
        Ok(create_todo::handle(self, request).await?)
    }

    async fn update_todo(&self, request: Request<pb::UpdateTodoRequest>) -> Result<Response<pb::Todo>, Status> {
        Ok(update_todo::handle(self, request).await?)
    }

    async fn delete_todo(&self, request: Request<pb::DeleteTodoRequest>) -> Result<Response<()>, Status> {
        Ok(delete_todo::handle(self, request).await?)
    }

    async fn restore_todo(&self, request: Request<pb::RestoreTodoRequest>) -> Result<Response<pb::Todo>, Status> {
        Ok(restore_todo::handle(self, request).await?)
    }

    async fn purge_todo(&self, request: Request<pb::PurgeTodoRequest>) -> Result<Response<()>, Status> {
        Ok(purge_todo::handle(self, request).await?)
    }

    async fn complete_todo(&self, request: Request<pb::CompleteTodoRequest>) -> Result<Response<pb::Todo>, Status> {
        Ok(complete_todo::handle(self, request).await?)
    }

    async fn reopen_todo(&self, request: Request<pb::ReopenTodoRequest>) -> Result<Response<pb::Todo>, Status> {
        Ok(reopen_todo::handle(self, request).await?)
    }

    async fn batch_create_todos(
        &self,
        request: Request<pb::BatchCreateTodosRequest>,
    ) -> Result<Response<pb::BatchCreateTodosResponse>, Status> {
        Ok(batch_create_todos::handle(self, request).await?)
    }

    async fn batch_delete_todos(&self, request: Request<pb::BatchDeleteTodosRequest>) -> Result<Response<()>, Status> {
        Ok(batch_delete_todos::handle(self, request).await?)
    }

    type WatchTodosStream = watch_todos::Stream;

    async fn watch_todos(
        &self,
        request: Request<pb::WatchTodosRequest>,
    ) -> Result<Response<watch_todos::Stream>, Status> {
        Ok(watch_todos::handle(self, request).await?)
    }
}

#[async_trait]
impl TagService for Rpc {
    async fn list_tags(&self, request: Request<pb::ListTagsRequest>) -> Result<Response<pb::ListTagsResponse>, Status> {
        Ok(list_tags::handle(self, request).await?)
    }

    async fn get_tag(&self, request: Request<pb::GetTagRequest>) -> Result<Response<pb::Tag>, Status> {
        Ok(get_tag::handle(self, request).await?)
    }

    async fn create_tag(&self, request: Request<pb::CreateTagRequest>) -> Result<Response<pb::Tag>, Status> {
        Ok(create_tag::handle(self, request).await?)
    }

    async fn update_tag(&self, request: Request<pb::UpdateTagRequest>) -> Result<Response<pb::Tag>, Status> {
        Ok(update_tag::handle(self, request).await?)
    }

    async fn delete_tag(&self, request: Request<pb::DeleteTagRequest>) -> Result<Response<()>, Status> {
        Ok(delete_tag::handle(self, request).await?)
    }
}

#[async_trait]
impl TransferService for Rpc {
    async fn export_todos(
        &self,
        request: Request<pb::ExportTodosRequest>,
    ) -> Result<Response<pb::ExportTodosResponse>, Status> {
        Ok(export_todos::handle(self, request).await?)
    }

    async fn import_todos(
        &self,
        request: Request<pb::ImportTodosRequest>,
    ) -> Result<Response<pb::ImportTodosResponse>, Status> {
        Ok(import_todos::handle(self, request).await?)
    }

    async fn list_due_todos(
        &self,
        request: Request<pb::ListDueTodosRequest>,
    ) -> Result<Response<pb::ListDueTodosResponse>, Status> {
        Ok(list_due_todos::handle(self, request).await?)
    }

    async fn purge_deleted_todos(
        &self,
        request: Request<pb::PurgeDeletedTodosRequest>,
    ) -> Result<Response<pb::PurgeDeletedTodosResponse>, Status> {
        Ok(purge_deleted_todos::handle(self, request).await?)
    }
}
