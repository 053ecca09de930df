//! Deletes for good what was deleted softly long ago.
//!
//! Once: what is gone is gone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prost_types::Timestamp;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::todos::v1 as todos;
use quartet_proto::todos::v1::transfer_service_client::TransferServiceClient;
use quartet_proto::users::v1 as users;
use quartet_proto::users::v1::upkeep_service_client::UpkeepServiceClient;
use quartet_rpc::timestamp;

use super::Dependencies;
use crate::workers::{Done, JobContext, JobError, JobHandler};

/// Todos of one statement; locks are held briefly.
const TODOS: i32 = 500;
/// Users of one call, each of which is purged in two services.
const USERS: i32 = 20;

pub(super) struct PurgeDeleted(pub(super) Arc<Dependencies>);

#[async_trait]
impl JobHandler for PurgeDeleted {
    fn timeout(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self, context: &JobContext) -> Result<Done, JobError> {
        let payload: pb::PurgeDeleted = context.payload()?;
        let older = payload
            .older_than_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        let older = older.map_or(self.0.purge_after, Duration::from_secs);
        let deleted_before = timestamp::to_proto(context.clock.now() - older);
        let todos = self.purge_todos(context, deleted_before).await?;
        let users = self.purge_users(context, deleted_before).await?;
        Ok(Done::with(&pb::PurgeDeletedResult { todos, users }))
    }
}

impl PurgeDeleted {
    async fn purge_todos(&self, context: &JobContext, deleted_before: Timestamp) -> Result<i32, JobError> {
        let mut client = TransferServiceClient::new(self.0.todos.upstream());
        let mut purged = 0;
        loop {
            let request = todos::PurgeDeletedTodosRequest {
                deleted_before: Some(deleted_before),
                limit: TODOS,
            };
            let request = context.request(&self.0.todos, request)?;
            let batch = client.purge_deleted_todos(request).await?.into_inner().purged;
            purged += batch;
            if batch < TODOS {
                return Ok(purged);
            }
            context.progress(30, format!("{purged} todos")).await?;
        }
    }

    async fn purge_users(&self, context: &JobContext, deleted_before: Timestamp) -> Result<i32, JobError> {
        let mut client = UpkeepServiceClient::new(self.0.users.upstream());
        let mut purged = 0;
        loop {
            let request = users::PurgeDeletedUsersRequest {
                deleted_before: Some(deleted_before),
                limit: USERS,
            };
            let request = context.request(&self.0.users, request)?;
            let batch = client.purge_deleted_users(request).await?.into_inner().purged;
            purged += batch;
            if batch < USERS {
                return Ok(purged);
            }
            context.progress(60, format!("{purged} users")).await?;
        }
    }
}
