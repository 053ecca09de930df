//! Writes the owner's todos into a file, page by page.
//!
//! Once: the file appears under the job's name when it is whole; another attempt writes it anew.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::todos::v1 as todos;
use quartet_proto::todos::v1::transfer_service_client::TransferServiceClient;

use super::Dependencies;
use super::todo_file::{FileTodo, Format};
use crate::workers::{Done, JobContext, JobError, JobHandler};

/// Todos on a page.
const PAGE: i32 = 100;

pub(super) struct ExportTodos(pub(super) Arc<Dependencies>);

#[async_trait]
impl JobHandler for ExportTodos {
    fn timeout(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self, context: &JobContext) -> Result<Done, JobError> {
        let payload: pb::ExportTodos = context.payload()?;
        let format = Format::of(payload.format());
        let mut client = TransferServiceClient::new(self.0.todos.upstream());
        let mut file = self.0.files.create(context.job.id, context.job.attempts).await?;
        file.write(format.opening()).await?;
        let mut written = 0;
        let mut page_token = String::new();
        loop {
            let request = todos::ExportTodosRequest {
                user_id: context.job.owner.to_string(),
                page_size: Some(PAGE),
                page_token,
            };
            let page = client
                .export_todos(context.request(&self.0.todos, request)?)
                .await?
                .into_inner();
            for todo in page.data {
                let row = format
                    .row(&FileTodo::from(todo), written == 0)
                    .map_err(|error| JobError::permanent("INVALID", error))?;
                file.write(&row).await?;
                written += 1;
            }
            // Todos that are made meanwhile come on top of the total.
            let percent = (i64::from(written) * 100 / i64::from(page.total_count.max(1))).min(99);
            context
                .progress(
                    percent as u8,
                    format!("{written} of {} todos", page.total_count.max(written)),
                )
                .await?;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        file.write(format.closing(written == 0)).await?;
        let bytes = file.finish().await?;
        Ok(Done::with(&pb::ExportTodosResult {
            todos: written,
            bytes: bytes as i64,
            format: format.proto().into(),
            download_url: String::new(),
            download_expires_at: None,
        }))
    }
}
