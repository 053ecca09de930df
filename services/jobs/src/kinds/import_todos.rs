//! Makes todos from an uploaded file, a batch of rows at a time.
//!
//! Once: the todos service recognizes a row by the job's id and its line, so a row that is sent
//! again makes nothing new.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prost::Message;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::todos::v1 as todos;
use quartet_proto::todos::v1::transfer_service_client::TransferServiceClient;
use quartet_rpc::failure::reason_of;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tonic::Status;

use super::Dependencies;
use super::todo_file::{self, Format};
use crate::workers::{Done, JobContext, JobError, JobHandler};

/// Rows that are sent at once.
const BATCH: usize = 100;
/// Bytes of rows after which no further one is added.
const BATCH_BYTES: usize = 1 << 20;
/// Broken rows that the result names.
const NAMED: usize = 100;

type Batches = mpsc::Receiver<Vec<todo_file::Parsed>>;

pub(super) struct ImportTodos(pub(super) Arc<Dependencies>);

#[async_trait]
impl JobHandler for ImportTodos {
    fn timeout(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self, context: &JobContext) -> Result<Done, JobError> {
        let payload: pb::ImportTodos = context.payload()?;
        let (total, mut batches) = self.batches(context, Format::of(payload.format())).await?;
        let mut client = TransferServiceClient::new(self.0.todos.upstream());
        let mut result = pb::ImportTodosResult::default();
        let mut done = 0;
        while let Some(batch) = batches.recv().await {
            done += batch.len();
            let mut good = Vec::with_capacity(batch.len());
            for row in batch {
                match row {
                    Ok(row) => good.push(row),
                    Err(error) => note(&mut result, error),
                }
            }
            if !good.is_empty() {
                let request = todos::ImportTodosRequest {
                    user_id: context.job.owner.to_string(),
                    import_id: context.job.id.to_string(),
                    rows: good,
                    tier: payload.tier.clone(),
                };
                let reply = client.import_todos(context.request(&self.0.todos, request)?).await;
                let reply = reply.map_err(import_error)?.into_inner();
                result.imported += reply.imported;
                for error in by_row(reply.errors) {
                    note(&mut result, error);
                }
            }
            context
                .progress((done * 100 / total.max(1)) as u8, format!("{done} of {total} rows"))
                .await?;
        }
        result.errors.sort_by_key(|error| error.line);
        Ok(Done::with(&result))
    }
}

impl ImportTodos {
    /// How many rows the file has, and its rows in batches, which are read as they are taken.
    async fn batches(&self, context: &JobContext, format: Format) -> Result<(usize, Batches), JobError> {
        let file = self.0.files.open(context.job.id).await?;
        let (mut file, size) = file.ok_or_else(|| JobError::permanent("INVALID", "the uploaded file is gone"))?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        file.read_to_end(&mut bytes).await?;
        // Reading millions of cells takes the processor for a while. A file that is broken at its
        // end is refused before a row of it is imported.
        let counted = tokio::task::spawn_blocking(move || (todo_file::count(format, &bytes), bytes)).await;
        let (counted, bytes) = counted.map_err(|error| JobError::transient("PANICKED", error))?;
        let total = counted.map_err(|error| JobError::permanent("INVALID", error))?;
        let (sender, receiver) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            let mut batch = Vec::new();
            let mut size = 0;
            let read = todo_file::read(format, &bytes, |row| {
                size += row.as_ref().map_or(0, Message::encoded_len);
                batch.push(row);
                if batch.len() < BATCH && size < BATCH_BYTES {
                    return ControlFlow::Continue(());
                }
                size = 0;
                match sender.blocking_send(std::mem::take(&mut batch)) {
                    Ok(()) => ControlFlow::Continue(()),
                    // The job has ended.
                    Err(_) => ControlFlow::Break(()),
                }
            });
            if let Err(error) = read {
                // It was counted to its end before.
                tracing::error!(error, "a file cannot be read a second time");
            }
            if !batch.is_empty() {
                let _ = sender.blocking_send(batch);
            }
        });
        Ok((total, receiver))
    }
}

/// Why a batch was refused. What its owner has too much of does not become less by itself: the task
/// fails, and does the rest when it is started again.
fn import_error(status: Status) -> JobError {
    match reason_of(&status).as_deref() {
        Some("QUOTA_EXCEEDED") => JobError::permanent("QUOTA_EXCEEDED", status.message()),
        _ => status.into(),
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
