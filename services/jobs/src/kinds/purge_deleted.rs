//! Deletes for good what was deleted softly long ago.
//!
//! Once: what is gone is gone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::todos::v1 as todos;
use quartet_proto::todos::v1::transfer_service_client::TransferServiceClient;
use quartet_rpc::moment;

use super::Tools;
use crate::worker::run::{Done, Handler, Run, Trouble};

/// Todos of one statement; locks are held briefly.
const BATCH: i32 = 500;

pub(super) struct PurgeDeleted(pub(super) Arc<Tools>);

#[async_trait]
impl Handler for PurgeDeleted {
    fn timeout(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self, run: &Run) -> Result<Done, Trouble> {
        let payload: pb::PurgeDeleted = run.payload()?;
        let older = payload
            .older_than_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        let older = older.map_or(self.0.purge_after, Duration::from_secs);
        let deleted_before = Some(moment::to_proto(run.clock.now() - older));
        let mut client = TransferServiceClient::new(self.0.todos.upstream());
        let mut purged = 0;
        loop {
            let request = todos::PurgeDeletedTodosRequest {
                deleted_before,
                limit: BATCH,
            };
            let reply = client
                .purge_deleted_todos(run.request(&self.0.todos, request)?)
                .await?
                .into_inner();
            purged += reply.purged;
            if reply.purged < BATCH {
                return Ok(Done::with(&pb::PurgeDeletedResult { todos: purged }));
            }
            run.progress(50, format!("{purged} todos")).await?;
        }
    }
}
