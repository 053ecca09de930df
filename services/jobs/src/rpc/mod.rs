//! The RPCs of the service, one file each. This file is their table of contents.

mod audit;
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
mod verify_webhook;
mod watch_task;

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::KeptReplies;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::queue_service_server::{QueueService, QueueServiceServer};
use quartet_proto::jobs::v1::task_service_server::{TaskService, TaskServiceServer};
use quartet_proto::jobs::v1::webhook_service_server::{WebhookService, WebhookServiceServer};
use quartet_rpc::{Call, Revocations};
use quartet_store::Context;
use tonic::service::RoutesBuilder;

use crate::domain::EgressPolicy;
use crate::files::Files;
use crate::links::Links;
use crate::notifier::JobNotifier;
use crate::quotas::Quotas;
use crate::store::Store;

/// What every RPC works with.
#[derive(Clone)]
pub(crate) struct Rpc {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) notifier: JobNotifier,
    pub(crate) files: Files,
    pub(crate) links: Links,
    pub(crate) revocations: Revocations,
    pub(crate) link_ttl: Duration,
    pub(crate) upload_limit: usize,
    pub(crate) egress: Arc<EgressPolicy>,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) replies: Arc<dyn KeptReplies>,
}

impl Rpc {
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
            .add_service(TaskServiceServer::new(self.clone()))
            .add_service(QueueServiceServer::new(self.clone()))
            .add_service(WebhookServiceServer::new(self));
    }
}

quartet_rpc::methods! {
    impl TaskService for Rpc {
        create_task(pb::CreateTaskRequest) -> pb::Task;
        upload_import(stream pb::UploadImportRequest) -> pb::Task;
        get_task(pb::GetTaskRequest) -> pb::Task;
        list_tasks(pb::ListTasksRequest) -> pb::ListTasksResponse;
        cancel_task(pb::CancelTaskRequest) -> pb::Task;
        retry_task(pb::RetryTaskRequest) -> pb::Task;
        watch_task(pb::WatchTaskRequest) -> stream WatchTaskStream;
        download_result(pb::DownloadResultRequest) -> stream DownloadResultStream;
        list_schedules(pb::ListSchedulesRequest) -> pb::ListSchedulesResponse;
        submit_task(pb::SubmitTaskRequest) -> pb::SubmitTaskResponse;
    }
}

quartet_rpc::methods! {
    impl QueueService for Rpc {
        list_dead_letters(pb::ListDeadLettersRequest) -> pb::ListDeadLettersResponse;
        replay_dead_letter(pb::ReplayDeadLetterRequest) -> pb::Task;
        pause_queue(pb::PauseQueueRequest) -> pb::Queue;
        resume_queue(pb::ResumeQueueRequest) -> pb::Queue;
        queue_stats(pb::QueueStatsRequest) -> pb::QueueStatsResponse;
    }
}

quartet_rpc::methods! {
    impl WebhookService for Rpc {
        list_webhooks(pb::ListWebhooksRequest) -> pb::ListWebhooksResponse;
        get_webhook(pb::GetWebhookRequest) -> pb::Webhook;
        create_webhook(pb::CreateWebhookRequest) -> pb::Webhook;
        update_webhook(pb::UpdateWebhookRequest) -> pb::Webhook;
        verify_webhook(pb::VerifyWebhookRequest) -> pb::Webhook;
        delete_webhook(pb::DeleteWebhookRequest) -> ();
    }
}
