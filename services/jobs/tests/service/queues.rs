use quartet_jobs::workers::Done;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::TaskStatus;

use crate::harness::{Harness, Scripted, export};

#[tokio::test]
async fn the_tasks_of_a_paused_queue_wait_and_the_others_do_not() {
    let harness = Harness::scripted(Scripted::new(|_| async { Ok(Done(vec![])) })).await;
    let mut process = harness.start().await;
    let pause = pb::PauseQueueRequest { queue: "low".into() };
    let paused = process
        .queues
        .pause_queue(harness.superuser.request(pause))
        .await
        .unwrap()
        .into_inner();
    assert!(paused.paused);
    let low = pb::CreateTaskRequest {
        priority: pb::TaskPriority::Low.into(),
        ..export()
    };
    let low = process.create(&harness, low).await;
    let high = pb::CreateTaskRequest {
        priority: pb::TaskPriority::High.into(),
        ..export()
    };
    let high = process.create(&harness, high).await;
    process.until(&harness, &high.id, TaskStatus::Succeeded).await;
    let waits = process.until(&harness, &low.id, TaskStatus::Scheduled).await;
    assert_eq!(waits.attempts, 0);
    let stats = process
        .queues
        .queue_stats(harness.superuser.request(pb::QueueStatsRequest {}))
        .await
        .unwrap()
        .into_inner();
    let shown: Vec<_> = stats
        .data
        .iter()
        .map(|queue| (queue.name.as_str(), queue.paused, queue.scheduled))
        .collect();
    assert_eq!(
        shown,
        [
            ("high", false, 0),
            ("default", false, 0),
            ("low", true, 1),
            ("webhooks", false, 0)
        ]
    );

    let resume = pb::ResumeQueueRequest { queue: "low".into() };
    process
        .queues
        .resume_queue(harness.superuser.request(resume))
        .await
        .unwrap();
    process.until(&harness, &low.id, TaskStatus::Succeeded).await;
    process.stop().await;
}

#[tokio::test]
async fn a_queue_that_is_full_holds_up_no_other() {
    let harness = Harness::scripted(Scripted::new(|context| async move {
        if context.job.queue == quartet_jobs::domain::Queue::Low {
            context.interrupted.cancelled().await;
        }
        Ok(Done(vec![]))
    }))
    .await;
    let mut process = harness.start().await;
    for _ in 0..20 {
        let low = pb::CreateTaskRequest {
            priority: pb::TaskPriority::Low.into(),
            ..export()
        };
        process.create(&harness, low).await;
    }
    let other = process.create(&harness, export()).await;
    process.until(&harness, &other.id, TaskStatus::Succeeded).await;
    process.stop().await;
}
