//! Makes todos from an uploaded file, a batch of rows at a time.
//!
//! Once: the todos service recognizes a row by the job's id and its line, so a row that is sent again makes nothing new.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::todos::v1 as todos;
use quartet_proto::todos::v1::transfer_service_client::TransferServiceClient;
use tokio::io::AsyncReadExt;

use super::Dependencies;
use super::todo_file::{self, Format};
use crate::workers::{Done, JobContext, JobError, JobHandler};

/// Rows that are sent at once.
const BATCH: usize = 100;
/// Broken rows that the result names.
const NAMED: usize = 100;

pub(super) struct ImportTodos(pub(super) Arc<Dependencies>);

#[async_trait]
impl JobHandler for ImportTodos {
    fn timeout(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self, context: &JobContext) -> Result<Done, JobError> {
        let payload: pb::ImportTodos = context.payload()?;
        let rows = self.rows(context, Format::of(payload.format())).await?;
        let total = rows.len();
        let mut client = TransferServiceClient::new(self.0.todos.upstream());
        let mut result = pb::ImportTodosResult::default();
        for (number, batch) in rows.chunks(BATCH).enumerate() {
            let mut good = Vec::with_capacity(batch.len());
            for row in batch {
                match row {
                    Ok(row) => good.push(row.clone()),
                    Err(error) => note(&mut result, error.clone()),
                }
            }
            if !good.is_empty() {
                let request = todos::ImportTodosRequest {
                    user_id: context.job.owner.to_string(),
                    import_id: context.job.id.to_string(),
                    rows: good,
                };
                let reply = client
                    .import_todos(context.request(&self.0.todos, request)?)
                    .await?
                    .into_inner();
                result.imported += reply.imported;
                for error in by_row(reply.errors) {
                    note(&mut result, error);
                }
            }
            let done = (number * BATCH + batch.len()).min(total);
            context
                .progress((done * 100 / total.max(1)) as u8, format!("{done} of {total} rows"))
                .await?;
        }
        result.errors.sort_by_key(|error| error.line);
        Ok(Done::with(&result))
    }
}

impl ImportTodos {
    async fn rows(&self, context: &JobContext, format: Format) -> Result<Vec<todo_file::Parsed>, JobError> {
        let file = self.0.files.open(context.job.id).await?;
        let (mut file, size) = file.ok_or_else(|| JobError::permanent("INVALID", "the uploaded file is gone"))?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        file.read_to_end(&mut bytes).await?;
        // Reading millions of cells takes the processor for a while.
        let rows = tokio::task::spawn_blocking(move || todo_file::read(format, &bytes)).await;
        rows.map_err(|error| JobError::transient("PANICKED", error))?
            .map_err(|error| JobError::permanent("INVALID", error))
    }
}

/// One error per row: its first.
fn by_row(errors: Vec<todos::ImportError>) -> impl Iterator<Item = pb::RowError> {
    let mut last = None;
    errors.into_iter().filter_map(move |error| {
        let first = last != Some(error.line);
        last = Some(error.line);
        first.then_some(pb::RowError {
            line: error.line,
            field: error.field,
            reason: error.reason,
            message: error.message,
        })
    })
}

fn note(result: &mut pb::ImportTodosResult, error: pb::RowError) {
    result.rejected += 1;
    if result.errors.len() < NAMED {
        result.errors.push(error);
    }
}
