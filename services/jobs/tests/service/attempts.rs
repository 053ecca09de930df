use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use quartet_jobs::domain::{Ending, Queue, Status};
use quartet_jobs::workers::{Done, JobError};
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::TaskStatus;

use crate::harness::{Harness, Scripted, eventually, export};

/// A handler that waits until it is requested to end.
fn waiting() -> Scripted {
    Scripted::new(|context| async move {
        context.interrupted.cancelled().await;
        Err(JobError::Interrupted)
    })
}

#[tokio::test]
async fn a_task_is_done() {
    let harness = Harness::scripted(Scripted::new(|context| async move {
        context.progress(40, "nearly half").await?;
        Ok(Done::with(&pb::ExportTodosResult {
            todos: 3,
            ..Default::default()
        }))
    }))
    .await;
    let mut process = harness.start().await;
    let task = process.create(&harness, export()).await;
    let done = process.until(&harness, &task.id, TaskStatus::Succeeded).await;
    assert_eq!((done.attempts, done.progress), (1, 100));
    assert!(matches!(done.result, Some(pb::task::Result::Export(result)) if result.todos == 3));
    process.stop().await;
}

#[tokio::test]
async fn a_poisonous_task_ends_in_the_dead_letters_and_stops_no_neighbour() {
    let cured = Arc::new(AtomicBool::new(false));
    let sick = cured.clone();
    let harness = Harness::scripted(Scripted::new(move |context| {
        let sick = context.job.unique_key.as_deref() == Some("poison") && !sick.load(Ordering::SeqCst);
        async move {
            assert!(!sick, "poison");
            Ok(Done(vec![]))
        }
    }))
    .await;
    let mut process = harness.start().await;
    let poison = pb::CreateTaskRequest {
        unique_key: "poison".into(),
        max_attempts: Some(2),
        ..export()
    };
    let poison = process.create(&harness, poison).await;
    let neighbour = process.create(&harness, export()).await;
    process.until(&harness, &neighbour.id, TaskStatus::Succeeded).await;
    let dead = process.until(&harness, &poison.id, TaskStatus::Dead).await;
    assert_eq!((dead.attempts, dead.error.unwrap().reason.as_str()), (2, "PANICKED"));

    let letters = harness.superuser.request(pb::ListDeadLettersRequest::default());
    let letters = process.queues.list_dead_letters(letters).await.unwrap().into_inner();
    assert_eq!(
        (letters.total_count, letters.data[0].id.as_str()),
        (1, poison.id.as_str())
    );

    cured.store(true, Ordering::SeqCst);
    let replay = pb::ReplayDeadLetterRequest {
        task_id: poison.id.clone(),
    };
    process
        .queues
        .replay_dead_letter(harness.superuser.request(replay))
        .await
        .unwrap();
    let done = process.until(&harness, &poison.id, TaskStatus::Succeeded).await;
    assert_eq!((done.attempts, done.error), (1, None));
    process.stop().await;
}

#[tokio::test]
async fn a_permanent_failure_is_attempted_once() {
    let harness = Harness::scripted(Scripted::new(|_| async {
        Err(JobError::permanent("INVALID", "never"))
    }))
    .await;
    let mut process = harness.start().await;
    let task = process.create(&harness, export()).await;
    let failed = process.until(&harness, &task.id, TaskStatus::Failed).await;
    assert_eq!((failed.attempts, failed.error.unwrap().reason.as_str()), (1, "INVALID"));
    process.stop().await;
}

#[tokio::test]
async fn a_handler_may_set_the_pause_before_the_next_attempt() {
    let tries = Arc::new(AtomicU32::new(0));
    let count = tries.clone();
    let harness = Harness::scripted(Scripted::new(move |_| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            match first {
                true => {
                    let error = JobError::transient("UNAVAILABLE", "away");
                    Err(error.retry_after(Some(Duration::from_millis(100))))
                }
                false => Ok(Done(vec![])),
            }
        }
    }))
    .await;
    let mut process = harness.start().await;
    let begun = Instant::now();
    let task = process.create(&harness, export()).await;
    let done = process.until(&harness, &task.id, TaskStatus::Succeeded).await;
    assert_eq!(done.attempts, 2);
    assert!(begun.elapsed() >= Duration::from_millis(100));
    process.stop().await;
}

#[tokio::test]
async fn the_orphan_of_a_dead_worker_is_done_by_another_with_its_attempt_counted() {
    let harness = Harness::scripted(Scripted::new(|_| async { Ok(Done(vec![])) })).await;
    let store = harness.store();
    // A worker that claims a job and dies.
    let mut process = harness.start().await;
    let run_at = Some(quartet_rpc::timestamp::to_proto(
        harness.clock.now() + Duration::from_secs(3_600),
    ));
    let task = process
        .create(&harness, pb::CreateTaskRequest { run_at, ..export() })
        .await;
    process.stop().await;
    let now = harness.clock.now();
    store
        .enqueue_due(10, &harness.cx().at(now + Duration::from_secs(4_000)))
        .await
        .unwrap();
    let until = now + Duration::from_millis(300);
    let (lease, claimed) = store
        .claim(Queue::Default, harness.clock.new_id(), until, &harness.cx())
        .await
        .unwrap()
        .unwrap();

    let mut process = harness.start().await;
    let done = process.until(&harness, &task.id, TaskStatus::Succeeded).await;
    assert_eq!(done.attempts, 2);
    let late = store
        .finish(lease, &claimed, &Ending::Succeeded(vec![]), &harness.cx())
        .await
        .unwrap();
    assert!(late.is_none());
    process.stop().await;
}

#[tokio::test]
async fn cancelling_reaches_a_running_handler() {
    let harness = Harness::scripted(waiting()).await;
    let mut process = harness.start().await;
    let task = process.create(&harness, export()).await;
    process.until(&harness, &task.id, TaskStatus::Running).await;
    let begun = Instant::now();
    let cancel = pb::CancelTaskRequest {
        task_id: task.id.clone(),
    };
    let cancelled = process
        .tasks
        .cancel_task(harness.user.request(cancel))
        .await
        .unwrap()
        .into_inner();
    assert!(cancelled.cancel_requested);
    process.until(&harness, &task.id, TaskStatus::Cancelled).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    process.stop().await;
}

#[tokio::test]
async fn cancelling_reaches_a_handler_in_another_process() {
    let harness = Harness::scripted(waiting()).await;
    let mut worker = harness.start().await;
    let task = worker.create(&harness, export()).await;
    worker.until(&harness, &task.id, TaskStatus::Running).await;
    // Past the process that runs it: the request is a row alone.
    harness
        .store()
        .cancel_job(harness.user.id, task.id.parse().unwrap(), &harness.cx())
        .await
        .unwrap();
    worker.until(&harness, &task.id, TaskStatus::Cancelled).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_handler_that_does_not_end_when_requested_is_dropped() {
    let dropped = Arc::new(AtomicBool::new(false));
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let flag = dropped.clone();
    let harness = Harness::scripted(Scripted::new(move |_| {
        let flag = Flag(flag.clone());
        async move {
            let _flag = flag;
            std::future::pending().await
        }
    }))
    .await;
    let mut process = harness.start().await;
    let task = process.create(&harness, export()).await;
    process.until(&harness, &task.id, TaskStatus::Running).await;
    let cancel = pb::CancelTaskRequest {
        task_id: task.id.clone(),
    };
    process.tasks.cancel_task(harness.user.request(cancel)).await.unwrap();
    process.until(&harness, &task.id, TaskStatus::Cancelled).await;
    eventually("the handler is dropped", async || {
        dropped.load(Ordering::SeqCst).then_some(())
    })
    .await;
    process.stop().await;
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_ended_and_counts() {
    let harness = Harness::scripted(waiting().within(Duration::from_millis(200))).await;
    let mut process = harness.start().await;
    let request = pb::CreateTaskRequest {
        max_attempts: Some(1),
        ..export()
    };
    let task = process.create(&harness, request).await;
    let dead = process.until(&harness, &task.id, TaskStatus::Dead).await;
    assert_eq!(dead.error.unwrap().reason, "TIMED_OUT");
    process.stop().await;
}

#[tokio::test]
async fn a_worker_that_stops_releases_unfinished_work_without_counting_the_attempt() {
    let stopping = Arc::new(AtomicBool::new(true));
    let first = stopping.clone();
    let harness = Harness::scripted(Scripted::new(move |context| {
        let wait = first.load(Ordering::SeqCst);
        async move {
            if wait {
                context.interrupted.cancelled().await;
                return Err(JobError::Interrupted);
            }
            Ok(Done(vec![]))
        }
    }))
    .await;
    let mut process = harness.start().await;
    let task = process.create(&harness, export()).await;
    process.until(&harness, &task.id, TaskStatus::Running).await;
    let begun = Instant::now();
    process.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let job = harness
        .store()
        .find_any_job(task.id.parse().unwrap(), &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((job.status, job.attempts, job.problem), (Status::Queued, 0, None));

    stopping.store(false, Ordering::SeqCst);
    let mut process = harness.start().await;
    let done = process.until(&harness, &task.id, TaskStatus::Succeeded).await;
    assert_eq!(done.attempts, 1);
    process.stop().await;
}

#[tokio::test]
async fn work_that_ends_while_its_worker_stops_is_done() {
    let harness = Harness::scripted(Scripted::new(|context| async move {
        context.interrupted.cancelled().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(Done(vec![]))
    }))
    .await;
    let mut process = harness.start().await;
    let task = process.create(&harness, export()).await;
    process.until(&harness, &task.id, TaskStatus::Running).await;
    process.stop().await;
    let job = harness
        .store()
        .find_any_job(task.id.parse().unwrap(), &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((job.status, job.attempts), (Status::Succeeded, 1));
}
