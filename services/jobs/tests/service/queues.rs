use quartet_jobs::worker::run::Done;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::TaskStatus;

use crate::stage::{Scripted, Stage, export};

#[tokio::test]
async fn the_tasks_of_a_paused_queue_wait_and_the_others_do_not() {
    let stage = Stage::scripted(Scripted::new(|_| async { Ok(Done(vec![])) })).await;
    let mut process = stage.start().await;
    let pause = pb::PauseQueueRequest { queue: "low".into() };
    let paused = process
        .queues
        .pause_queue(stage.superuser.request(pause))
        .await
        .unwrap()
        .into_inner();
    assert!(paused.paused);
    let low = pb::CreateTaskRequest {
        priority: pb::TaskPriority::Low.into(),
        ..export()
    };
    let low = process.create(&stage, low).await;
    let high = pb::CreateTaskRequest {
        priority: pb::TaskPriority::High.into(),
        ..export()
    };
    let high = process.create(&stage, high).await;
    process.until(&stage, &high.id, TaskStatus::Succeeded).await;
    let waits = process.until(&stage, &low.id, TaskStatus::Scheduled).await;
    assert_eq!(waits.attempts, 0);
    let stats = process
        .queues
        .queue_stats(stage.superuser.request(pb::QueueStatsRequest {}))
        .await
        .unwrap()
        .into_inner();
    let told: Vec<_> = stats
        .data
        .iter()
        .map(|queue| (queue.name.as_str(), queue.paused, queue.scheduled))
        .collect();
    assert_eq!(told, [("high", false, 0), ("default", false, 0), ("low", true, 1)]);

    let resume = pb::ResumeQueueRequest { queue: "low".into() };
    process
        .queues
        .resume_queue(stage.superuser.request(resume))
        .await
        .unwrap();
    process.until(&stage, &low.id, TaskStatus::Succeeded).await;
    process.stop().await;
}

#[tokio::test]
async fn a_queue_that_is_full_holds_up_no_other() {
    let stage = Stage::scripted(Scripted::new(|run| async move {
        if run.job.queue == quartet_jobs::domain::Queue::Low {
            run.interrupted.cancelled().await;
        }
        Ok(Done(vec![]))
    }))
    .await;
    let mut process = stage.start().await;
    for _ in 0..20 {
        let low = pb::CreateTaskRequest {
            priority: pb::TaskPriority::Low.into(),
            ..export()
        };
        process.create(&stage, low).await;
    }
    let other = process.create(&stage, export()).await;
    process.until(&stage, &other.id, TaskStatus::Succeeded).await;
    process.stop().await;
}
