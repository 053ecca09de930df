use futures::StreamExt;
use futures::future::join_all;
use quartet_jobs::workers::{Done, JobError};
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::TaskStatus;
use quartet_rpc::failure::reason_of;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::harness::{Harness, Scripted, export};

fn fields(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request();
    bad.map(|bad| bad.field_violations.into_iter().map(|field| field.field).collect())
        .unwrap_or_default()
}

#[tokio::test]
async fn sixty_four_calls_at_once_with_one_key_make_one_task_and_all_get_it() {
    let harness = Harness::scripted(Scripted::new(|_| async { Ok(Done(vec![])) })).await;
    let mut process = harness.start().await;
    let calls = (0..64).map(|_| {
        let mut client = process.tasks.clone();
        let request = pb::CreateTaskRequest {
            unique_key: "mine".into(),
            ..export()
        };
        let request = harness.user.request(request);
        async move { client.create_task(request).await.unwrap().into_inner().id }
    });
    let ids = join_all(calls).await;
    assert!(ids.iter().all(|id| *id == ids[0]));
    let list = process
        .tasks
        .list_tasks(harness.user.request(pb::ListTasksRequest::default()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(list.total_count, 1);
    process.stop().await;
}

#[tokio::test]
async fn every_broken_field_is_named_at_once() {
    let harness = Harness::scripted(Scripted::new(|_| async { Ok(Done(vec![])) })).await;
    let mut process = harness.start().await;
    let request = pb::CreateTaskRequest {
        unique_key: "x".repeat(129),
        priority: 9,
        max_attempts: Some(0),
        result_ttl_seconds: Some(1),
        ..Default::default()
    };
    let status = process.try_create(&harness, request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        fields(&status),
        [
            "payload",
            "unique_key",
            "priority",
            "max_attempts",
            "result_ttl_seconds"
        ]
    );
    process.stop().await;
}

#[tokio::test]
async fn a_watch_shows_each_change_and_ends_with_the_task() {
    let steps = Arc::new(Semaphore::new(0));
    let gate = steps.clone();
    let harness = Harness::scripted(Scripted::new(move |context| {
        let gate = gate.clone();
        async move {
            context.progress(30, "a third").await?;
            gate.acquire()
                .await
                .map_err(|error| JobError::permanent("TEST", error))?
                .forget();
            Ok(Done(vec![]))
        }
    }))
    .await;
    let mut process = harness.start().await;
    let task = process.create(&harness, export()).await;
    let watch = pb::WatchTaskRequest {
        task_id: task.id.clone(),
    };
    let mut seen = process
        .tasks
        .watch_task(harness.user.request(watch))
        .await
        .unwrap()
        .into_inner();
    let mut shown = Vec::new();
    while let Some(task) = seen.next().await {
        let task = task.unwrap();
        if task.note == "a third" && shown.last() != Some(&(TaskStatus::Running, 30)) {
            steps.add_permits(1);
        }
        shown.push((task.status(), task.progress));
    }
    assert!(shown.contains(&(TaskStatus::Running, 30)), "{shown:?}");
    assert_eq!(shown.last(), Some(&(TaskStatus::Succeeded, 100)));
    process.stop().await;
}

#[tokio::test]
async fn what_ended_well_is_neither_cancelled_nor_started_again() {
    let harness = Harness::scripted(Scripted::new(|_| async { Ok(Done(vec![])) })).await;
    let mut process = harness.start().await;
    let task = process.create(&harness, export()).await;
    process.until(&harness, &task.id, TaskStatus::Succeeded).await;
    let cancel = harness.user.request(pb::CancelTaskRequest {
        task_id: task.id.clone(),
    });
    let status = process.tasks.cancel_task(cancel).await.unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("TASK_ENDED"));
    let retry = harness.user.request(pb::RetryTaskRequest { task_id: task.id });
    let status = process.tasks.retry_task(retry).await.unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("TASK_NOT_RETRYABLE"));
    process.stop().await;
}

#[tokio::test]
async fn a_page_token_belongs_to_its_list() {
    let harness = Harness::scripted(Scripted::new(|_| async { Ok(Done(vec![])) })).await;
    let mut process = harness.start().await;
    for _ in 0..3 {
        process.create(&harness, export()).await;
    }
    let list = pb::ListTasksRequest {
        page_size: Some(2),
        ..Default::default()
    };
    let first = process
        .tasks
        .list_tasks(harness.user.request(list.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((first.data.len(), first.total_count, first.has_more), (2, 3, true));
    let next = pb::ListTasksRequest {
        page_token: first.next_page_token.clone(),
        ..list.clone()
    };
    let next = process
        .tasks
        .list_tasks(harness.user.request(next))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((next.data.len(), next.has_more), (1, false));
    let other = pb::ListTasksRequest {
        page_token: first.next_page_token,
        kind: "webhook".into(),
        ..list
    };
    let status = process.tasks.list_tasks(harness.user.request(other)).await.unwrap_err();
    assert_eq!(fields(&status), ["page_token"]);
    process.stop().await;
}
