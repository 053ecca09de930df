use quartet_jobs::domain::{Ending, NewJob, Problem, Queue, Status};
use quartet_jobs::store::{Lease, Renewal};
use quartet_testkit::database::Fresh;
use time::Duration;
use uuid::Uuid;

use super::{BOUNDS, Harness};

quartet_testkit::on_both_databases!(
    a_job_is_claimed_once,
    of_many_claims_at_once_one_wins,
    a_failed_attempt_comes_back_at_its_time,
    the_last_failed_attempt_makes_a_dead_letter,
    a_dead_letter_is_replayed_with_its_attempts_anew,
    a_released_attempt_does_not_count,
    the_orphan_of_a_dead_worker_is_rescued_with_its_attempt_counted,
    whoever_has_lost_the_lease_writes_nothing,
    a_running_job_learns_that_its_owner_has_requested_its_end,
    the_job_of_a_paused_queue_waits_until_it_is_resumed,
    a_message_that_was_lost_is_sent_again,
    what_has_ended_is_deleted_in_time,
    progress_is_seen_by_others,
);

fn problem() -> Problem {
    Problem::new("UNAVAILABLE", "away")
}

async fn a_job_is_claimed_once(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    let (_, claimed) = harness.claim(job.id).await.unwrap();
    assert_eq!((claimed.status, claimed.attempts), (Status::Running, 1));
    assert_eq!(harness.find(job.id).await, claimed);
    assert!(
        harness.claim(job.id).await.is_none(),
        "a second delivery of the message"
    );
}

async fn of_many_claims_at_once_one_wins(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    let now = harness.clock.now();
    let claims: Vec<_> = (0..16)
        .map(|_| {
            let (store, cx, lease) = (harness.store.clone(), harness.cx(), harness.clock.new_id());
            let until = now + Duration::MINUTE;
            tokio::spawn(async move { store.claim(job.queue, lease, until, &cx).await.unwrap().is_some() })
        })
        .collect();
    let mut won = 0;
    for claim in claims {
        won += i32::from(claim.await.unwrap());
    }
    assert_eq!((won, harness.find(job.id).await.attempts), (1, 1));
}

async fn a_failed_attempt_comes_back_at_its_time(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    let (lease, claimed) = harness.claim(job.id).await.unwrap();
    let at = harness.clock.now() + Duration::seconds(10);
    let back = harness
        .store
        .finish(lease, &claimed, &Ending::Retry(problem(), at), &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (back.status, back.run_at, back.problem),
        (Status::Scheduled, at, Some(problem()))
    );
    assert_eq!(harness.store.enqueue_due(10, &harness.cx()).await.unwrap(), 0);
    harness.clock.advance(Duration::seconds(10));
    assert_eq!(harness.store.enqueue_due(10, &harness.cx()).await.unwrap(), 1);
    assert_eq!(harness.messages().await, 2);
    assert_eq!(harness.claim(job.id).await.unwrap().1.attempts, 2);
}

/// A job whose two attempts have failed.
async fn dead(harness: &Harness) -> Uuid {
    let job = harness
        .insert(NewJob {
            max_attempts: 2,
            ..harness.new_job()
        })
        .await;
    for _ in 0..2 {
        let (lease, claimed) = harness.claim(job.id).await.unwrap();
        let retry = Ending::Retry(problem(), harness.clock.now());
        harness
            .store
            .finish(lease, &claimed, &retry, &harness.cx())
            .await
            .unwrap()
            .unwrap();
        harness.store.enqueue_due(10, &harness.cx()).await.unwrap();
    }
    job.id
}

async fn the_last_failed_attempt_makes_a_dead_letter(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let id = dead(&harness).await;
    let job = harness.find(id).await;
    assert_eq!(
        (job.status, job.attempts, job.problem),
        (Status::Dead, 2, Some(problem()))
    );
}

async fn a_dead_letter_is_replayed_with_its_attempts_anew(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let waiting = harness.insert(harness.new_job().in_queue(Queue::Low)).await;
    assert!(
        harness
            .store
            .replay_job(waiting.id, BOUNDS, &harness.cx())
            .await
            .unwrap()
            .is_none()
    );
    let id = dead(&harness).await;
    let job = harness
        .store
        .replay_job(id, BOUNDS, &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((job.status, job.attempts), (Status::Queued, 0));
    let (lease, claimed) = harness.claim(id).await.unwrap();
    let done = harness
        .store
        .finish(lease, &claimed, &Ending::Succeeded(vec![]), &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((done.status, done.problem), (Status::Succeeded, None));
}

async fn a_released_attempt_does_not_count(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    let (lease, claimed) = harness.claim(job.id).await.unwrap();
    let back = harness
        .store
        .finish(lease, &claimed, &Ending::Released, &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (back.status, back.attempts, harness.messages().await),
        (Status::Queued, 0, 2)
    );
    assert_eq!(harness.claim(job.id).await.unwrap().1.attempts, 1);
}

async fn the_orphan_of_a_dead_worker_is_rescued_with_its_attempt_counted(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    let (lease, claimed) = harness.claim(job.id).await.unwrap();
    harness.clock.advance(Duration::seconds(59));
    assert_eq!(harness.store.rescue(10, &harness.cx()).await.unwrap(), 0);
    harness.clock.advance(Duration::seconds(2));
    assert_eq!(harness.store.rescue(10, &harness.cx()).await.unwrap(), 1);
    let orphan = harness.find(job.id).await;
    assert_eq!((orphan.status, orphan.attempts), (Status::Scheduled, 1));
    assert_eq!(orphan.problem.unwrap().reason, "WORKER_LOST");
    assert!(
        orphan.run_at > harness.clock.now(),
        "a poisonous job must not come back at once"
    );
    // The worker was only slow; it does not hold the lease any more.
    let late = harness
        .store
        .finish(lease, &claimed, &Ending::Succeeded(vec![]), &harness.cx())
        .await
        .unwrap();
    assert!(late.is_none());
    harness.clock.advance(Duration::HOUR);
    harness.store.enqueue_due(10, &harness.cx()).await.unwrap();
    assert_eq!(harness.claim(job.id).await.unwrap().1.attempts, 2);
}

async fn whoever_has_lost_the_lease_writes_nothing(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    let (lease, claimed) = harness.claim(job.id).await.unwrap();
    let stranger = Lease {
        id: harness.clock.new_id(),
        ..lease
    };
    let now = harness.clock.now();
    assert_eq!(
        harness
            .store
            .renew(stranger, now + Duration::HOUR, &harness.cx())
            .await
            .unwrap(),
        Renewal::Lost
    );
    assert!(!harness.store.report(stranger, 50, "half", &harness.cx()).await.unwrap());
    assert!(
        harness
            .store
            .finish(stranger, &claimed, &Ending::Cancelled, &harness.cx())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(harness.find(job.id).await, claimed);
    assert_eq!(
        harness
            .store
            .renew(lease, now + Duration::HOUR, &harness.cx())
            .await
            .unwrap(),
        Renewal::Held
    );
    harness.clock.advance(Duration::minutes(30));
    assert_eq!(
        harness.store.rescue(10, &harness.cx()).await.unwrap(),
        0,
        "the renewed lease counts"
    );
}

async fn a_running_job_learns_that_its_owner_has_requested_its_end(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    let (lease, claimed) = harness.claim(job.id).await.unwrap();
    let now = harness.clock.now();
    let cancelled = harness
        .store
        .cancel_job(harness.owner, job.id, &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((cancelled.status, cancelled.cancel_requested), (Status::Running, true));
    assert_eq!(
        harness
            .store
            .renew(lease, now + Duration::HOUR, &harness.cx())
            .await
            .unwrap(),
        Renewal::CancelRequested
    );
    // A handler that fails on its way out is not tried again.
    let ended = harness
        .store
        .finish(lease, &claimed, &Ending::Retry(problem(), now), &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.status, Status::Cancelled);
}

async fn the_job_of_a_paused_queue_waits_until_it_is_resumed(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    harness.store.set_paused(job.queue, true, &harness.cx()).await.unwrap();
    assert!(harness.claim(job.id).await.is_none());
    assert_eq!(harness.store.enqueue_due(10, &harness.cx()).await.unwrap(), 0);
    harness.store.set_paused(job.queue, false, &harness.cx()).await.unwrap();
    assert_eq!(harness.store.enqueue_due(10, &harness.cx()).await.unwrap(), 1);
    assert_eq!(harness.claim(job.id).await.unwrap().1.attempts, 1);
}

async fn a_message_that_was_lost_is_sent_again(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    harness.insert(harness.new_job()).await;
    harness.clock.advance(Duration::HOUR);
    let now = harness.clock.now();
    let redeliver = async || {
        harness
            .store
            .redeliver(now - Duration::minutes(15), 10, &harness.cx())
            .await
            .unwrap()
    };
    assert_eq!((redeliver().await, harness.messages().await), (1, 2));
    assert_eq!(redeliver().await, 0, "not again before its time");
}

async fn what_has_ended_is_deleted_in_time(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job().kept_for(Duration::HOUR)).await;
    let other = harness.insert(harness.new_job()).await;
    let (lease, claimed) = harness.claim(job.id).await.unwrap();
    harness
        .store
        .finish(lease, &claimed, &Ending::Succeeded(vec![]), &harness.cx())
        .await
        .unwrap();
    let expired = async || harness.store.list_expired(10, &harness.cx()).await.unwrap();
    assert!(expired().await.is_empty());
    harness.clock.advance(Duration::HOUR);
    assert_eq!(expired().await, [job.id]);
    let ids = [job.id, other.id];
    harness.store.delete_expired(&ids, &harness.cx()).await.unwrap();
    assert!(
        harness
            .store
            .find_any_job(job.id, &harness.cx())
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        harness
            .store
            .find_any_job(other.id, &harness.cx())
            .await
            .unwrap()
            .is_some()
    );
}

async fn progress_is_seen_by_others(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    let (lease, _) = harness.claim(job.id).await.unwrap();
    assert!(
        harness
            .store
            .report(lease, 40, "40 of 100", &harness.cx())
            .await
            .unwrap()
    );
    let seen = harness.find(job.id).await;
    assert_eq!((seen.progress, seen.note.as_str()), (40, "40 of 100"));
}
