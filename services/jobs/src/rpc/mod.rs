//! The RPCs of the service, one file each. This file is their table of contents.

mod cancel_task;
mod convert;
mod create_task;
mod create_webhook;
mod delete_webhook;
mod download_result;
mod get_task;
mod get_webhook;
mod list_dead_letters;
mod list_schedules;
mod list_tasks;
mod list_webhooks;
mod pause_queue;
mod queue_stats;
mod replay_dead_letter;
mod resume_queue;
mod retry_task;
mod submit_task;
mod update_webhook;
mod upload_import;
mod watch_task;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use quartet_clock::Clock;
use quartet_proto::google::api::HttpBody;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::queue_service_server::{QueueService, QueueServiceServer};
use quartet_proto::jobs::v1::task_service_server::{TaskService, TaskServiceServer};
use quartet_proto::jobs::v1::webhook_service_server::{WebhookService, WebhookServiceServer};
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status, Streaming};

use crate::changes::Changes;
use crate::domain::EgressPolicy;
use crate::files::Files;
use crate::links::Links;
use crate::store::Store;

/// What every RPC works with.
#[derive(Clone)]
pub(crate) struct Rpc {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) changes: Changes,
    pub(crate) files: Files,
    pub(crate) links: Links,
    pub(crate) link_ttl: Duration,
    pub(crate) upload_limit: usize,
    pub(crate) egress: Arc<EgressPolicy>,
}

impl Rpc {
    pub(crate) fn add_to(self, routes: &mut RoutesBuilder) {
        routes
            .add_service(TaskServiceServer::new(self.clone()))
            .add_service(QueueServiceServer::new(self.clone()))
            .add_service(WebhookServiceServer::new(self));
    }
}

#[async_trait]
impl TaskService for Rpc {
    async fn create_task(&self, request: Request<pb::CreateTaskRequest>) -> Result<Response<pb::Task>, Status> {
        Ok(create_task::handle(self, request).await?)
    }

    async fn upload_import(
        &self,
        request: Request<Streaming<pb::UploadImportRequest>>,
    ) -> Result<Response<pb::Task>, Status> {
        Ok(upload_import::handle(self, request).await?)
    }

    async fn get_task(&self, request: Request<pb::GetTaskRequest>) -> Result<Response<pb::Task>, Status> {
        Ok(get_task::handle(self, request).await?)
    }

    async fn list_tasks(
        &self,
        request: Request<pb::ListTasksRequest>,
    ) -> Result<Response<pb::ListTasksResponse>, Status> {
        Ok(list_tasks::handle(self, request).await?)
    }

    async fn cancel_task(&self, request: Request<pb::CancelTaskRequest>) -> Result<Response<pb::Task>, Status> {
        Ok(cancel_task::handle(self, request).await?)
    }

    async fn retry_task(&self, request: Request<pb::RetryTaskRequest>) -> Result<Response<pb::Task>, Status> {
        Ok(retry_task::handle(self, request).await?)
    }

    type WatchTaskStream = BoxStream<'static, Result<pb::Task, Status>>;

    async fn watch_task(
        &self,
        request: Request<pb::WatchTaskRequest>,
    ) -> Result<Response<Self::WatchTaskStream>, Status> {
        Ok(watch_task::handle(self, request).await?)
    }

    type DownloadResultStream = BoxStream<'static, Result<HttpBody, Status>>;

    async fn download_result(
        &self,
        request: Request<pb::DownloadResultRequest>,
    ) -> Result<Response<Self::DownloadResultStream>, Status> {
        Ok(download_result::handle(self, request).await?)
    }

    async fn list_schedules(
        &self,
        request: Request<pb::ListSchedulesRequest>,
    ) -> Result<Response<pb::ListSchedulesResponse>, Status> {
        Ok(list_schedules::handle(self, request).await?)
    }

    async fn submit_task(
        &self,
        request: Request<pb::SubmitTaskRequest>,
    ) -> Result<Response<pb::SubmitTaskResponse>, Status> {
        Ok(submit_task::handle(self, request).await?)
    }
}

#[async_trait]
impl QueueService for Rpc {
    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        Ok(list_dead_letters::handle(self, request).await?)
    }

    async fn replay_dead_letter(
        &self,
        request: Request<pb::ReplayDeadLetterRequest>,
    ) -> Result<Response<pb::Task>, Status> {
        Ok(replay_dead_letter::handle(self, request).await?)
    }

    async fn pause_queue(&self, request: Request<pb::PauseQueueRequest>) -> Result<Response<pb::Queue>, Status> {
        Ok(pause_queue::handle(self, request).await?)
    }

    async fn resume_queue(&self, request: Request<pb::ResumeQueueRequest>) -> Result<Response<pb::Queue>, Status> {
        Ok(resume_queue::handle(self, request).await?)
    }

    async fn queue_stats(
        &self,
        request: Request<pb::QueueStatsRequest>,
    ) -> Result<Response<pb::QueueStatsResponse>, Status> {
        Ok(queue_stats::handle(self, request).await?)
    }
}

#[async_trait]
impl WebhookService for Rpc {
    async fn list_webhooks(
        &self,
        request: Request<pb::ListWebhooksRequest>,
    ) -> Result<Response<pb::ListWebhooksResponse>, Status> {
        Ok(list_webhooks::handle(self, request).await?)
    }

    async fn get_webhook(&self, request: Request<pb::GetWebhookRequest>) -> Result<Response<pb::Webhook>, Status> {
        Ok(get_webhook::handle(self, request).await?)
    }

    async fn create_webhook(
        &self,
        request: Request<pb::CreateWebhookRequest>,
    ) -> Result<Response<pb::Webhook>, Status> {
        Ok(create_webhook::handle(self, request).await?)
    }

    async fn update_webhook(
        &self,
        request: Request<pb::UpdateWebhookRequest>,
    ) -> Result<Response<pb::Webhook>, Status> {
        Ok(update_webhook::handle(self, request).await?)
    }

    async fn delete_webhook(&self, request: Request<pb::DeleteWebhookRequest>) -> Result<Response<()>, Status> {
        Ok(delete_webhook::handle(self, request).await?)
    }
}
