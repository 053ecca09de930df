use quartet_jobs::domain::{Ending, NewJob, Problem, Status};
use quartet_jobs::store::{Lease, Renewal};
use quartet_testkit::database::Fresh;
use time::Duration;
use uuid::Uuid;

use super::{Kept, soon};

quartet_testkit::on_both_databases!(
    a_job_is_claimed_once,
    of_many_claims_at_once_one_wins,
    a_failed_attempt_comes_back_at_its_time,
    the_last_failed_attempt_makes_a_dead_letter,
    a_dead_letter_is_replayed_with_its_attempts_anew,
    a_handed_back_attempt_does_not_count,
    the_orphan_of_a_dead_worker_is_rescued_with_its_attempt_counted,
    whoever_has_lost_the_lease_writes_nothing,
    a_running_job_learns_that_its_owner_wants_it_to_end,
    the_job_of_a_paused_queue_waits_until_it_is_resumed,
    a_message_that_was_lost_is_sent_again,
    what_has_ended_is_forgotten_in_time,
    progress_is_seen_by_others,
);

fn problem() -> Problem {
    Problem::new("UNAVAILABLE", "away")
}

async fn a_job_is_claimed_once(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(kept.new_job()).await;
    let (_, claimed) = kept.claim(job.id).await.unwrap();
    assert_eq!((claimed.status, claimed.attempts), (Status::Running, 1));
    assert_eq!(kept.find(job.id).await, claimed);
    assert!(kept.claim(job.id).await.is_none(), "a second delivery of the message");
}

async fn of_many_claims_at_once_one_wins(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(kept.new_job()).await;
    let now = kept.clock.now();
    let claims: Vec<_> = (0..16)
        .map(|_| {
            let (store, lease) = (
                kept.store.clone(),
                Lease {
                    job: job.id,
                    id: kept.clock.new_id(),
                },
            );
            tokio::spawn(async move {
                store
                    .claim(lease, now + Duration::MINUTE, now, soon())
                    .await
                    .unwrap()
                    .is_some()
            })
        })
        .collect();
    let mut won = 0;
    for claim in claims {
        won += i32::from(claim.await.unwrap());
    }
    assert_eq!((won, kept.find(job.id).await.attempts), (1, 1));
}

async fn a_failed_attempt_comes_back_at_its_time(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(kept.new_job()).await;
    let (lease, _) = kept.claim(job.id).await.unwrap();
    let at = kept.clock.now() + Duration::seconds(10);
    let back = kept
        .store
        .finish(lease, &Ending::Retry(problem(), at), kept.clock.now(), soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (back.status, back.run_at, back.problem),
        (Status::Scheduled, at, Some(problem()))
    );
    assert_eq!(kept.store.enqueue_due(kept.clock.now(), 10, soon()).await.unwrap(), 0);
    kept.clock.advance(Duration::seconds(10));
    assert_eq!(kept.store.enqueue_due(kept.clock.now(), 10, soon()).await.unwrap(), 1);
    assert_eq!(kept.asked(job.id).await, 2);
    assert_eq!(kept.claim(job.id).await.unwrap().1.attempts, 2);
}

/// A job whose two attempts have failed.
async fn dead(kept: &Kept) -> Uuid {
    let job = kept
        .insert(NewJob {
            max_attempts: 2,
            ..kept.new_job()
        })
        .await;
    for _ in 0..2 {
        let (lease, _) = kept.claim(job.id).await.unwrap();
        let retry = Ending::Retry(problem(), kept.clock.now());
        kept.store
            .finish(lease, &retry, kept.clock.now(), soon())
            .await
            .unwrap()
            .unwrap();
        kept.store.enqueue_due(kept.clock.now(), 10, soon()).await.unwrap();
    }
    job.id
}

async fn the_last_failed_attempt_makes_a_dead_letter(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = dead(&kept).await;
    let job = kept.find(id).await;
    assert_eq!(
        (job.status, job.attempts, job.problem),
        (Status::Dead, 2, Some(problem()))
    );
}

async fn a_dead_letter_is_replayed_with_its_attempts_anew(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let waiting = kept.insert(kept.new_job()).await;
    assert!(
        kept.store
            .replay_job(waiting.id, kept.clock.now(), soon())
            .await
            .unwrap()
            .is_none()
    );
    let id = dead(&kept).await;
    let job = kept
        .store
        .replay_job(id, kept.clock.now(), soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((job.status, job.attempts), (Status::Queued, 0));
    let (lease, _) = kept.claim(id).await.unwrap();
    let done = kept
        .store
        .finish(lease, &Ending::Succeeded(vec![]), kept.clock.now(), soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((done.status, done.problem), (Status::Succeeded, None));
}

async fn a_handed_back_attempt_does_not_count(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(kept.new_job()).await;
    let (lease, _) = kept.claim(job.id).await.unwrap();
    let back = kept
        .store
        .finish(lease, &Ending::HandedBack, kept.clock.now(), soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (back.status, back.attempts, kept.asked(job.id).await),
        (Status::Queued, 0, 2)
    );
    assert_eq!(kept.claim(job.id).await.unwrap().1.attempts, 1);
}

async fn the_orphan_of_a_dead_worker_is_rescued_with_its_attempt_counted(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(kept.new_job()).await;
    let (lease, _) = kept.claim(job.id).await.unwrap();
    kept.clock.advance(Duration::seconds(59));
    assert_eq!(kept.store.rescue(kept.clock.now(), 10, soon()).await.unwrap(), 0);
    kept.clock.advance(Duration::seconds(2));
    assert_eq!(kept.store.rescue(kept.clock.now(), 10, soon()).await.unwrap(), 1);
    let orphan = kept.find(job.id).await;
    assert_eq!((orphan.status, orphan.attempts), (Status::Scheduled, 1));
    assert_eq!(orphan.problem.unwrap().reason, "WORKER_LOST");
    assert!(
        orphan.run_at > kept.clock.now(),
        "a poisonous job must not come back at once"
    );
    // The worker was only slow; its word does not count any more.
    let late = kept
        .store
        .finish(lease, &Ending::Succeeded(vec![]), kept.clock.now(), soon())
        .await
        .unwrap();
    assert!(late.is_none());
    kept.clock.advance(Duration::HOUR);
    kept.store.enqueue_due(kept.clock.now(), 10, soon()).await.unwrap();
    assert_eq!(kept.claim(job.id).await.unwrap().1.attempts, 2);
}

async fn whoever_has_lost_the_lease_writes_nothing(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(kept.new_job()).await;
    let (lease, claimed) = kept.claim(job.id).await.unwrap();
    let stranger = Lease {
        id: kept.clock.new_id(),
        ..lease
    };
    let now = kept.clock.now();
    assert_eq!(
        kept.store.renew(stranger, now + Duration::HOUR, soon()).await.unwrap(),
        Renewal::Lost
    );
    assert!(!kept.store.report(stranger, 50, "half", now, soon()).await.unwrap());
    assert!(
        kept.store
            .finish(stranger, &Ending::Cancelled, now, soon())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(kept.find(job.id).await, claimed);
    assert_eq!(
        kept.store.renew(lease, now + Duration::HOUR, soon()).await.unwrap(),
        Renewal::Held
    );
    kept.clock.advance(Duration::minutes(30));
    assert_eq!(
        kept.store.rescue(kept.clock.now(), 10, soon()).await.unwrap(),
        0,
        "the renewed lease counts"
    );
}

async fn a_running_job_learns_that_its_owner_wants_it_to_end(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(kept.new_job()).await;
    let (lease, _) = kept.claim(job.id).await.unwrap();
    let now = kept.clock.now();
    let told = kept
        .store
        .cancel_job(kept.owner, job.id, now, soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((told.status, told.cancel_requested), (Status::Running, true));
    assert_eq!(
        kept.store.renew(lease, now + Duration::HOUR, soon()).await.unwrap(),
        Renewal::CancelRequested
    );
    // A handler that fails on its way out is not tried again.
    let ended = kept
        .store
        .finish(lease, &Ending::Retry(problem(), now), now, soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.status, Status::Cancelled);
}

async fn the_job_of_a_paused_queue_waits_until_it_is_resumed(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(kept.new_job()).await;
    kept.store.set_paused(job.queue, true, soon()).await.unwrap();
    assert!(kept.claim(job.id).await.is_none());
    assert_eq!(kept.store.enqueue_due(kept.clock.now(), 10, soon()).await.unwrap(), 0);
    kept.store.set_paused(job.queue, false, soon()).await.unwrap();
    assert_eq!(kept.store.enqueue_due(kept.clock.now(), 10, soon()).await.unwrap(), 1);
    assert_eq!(kept.claim(job.id).await.unwrap().1.attempts, 1);
}

async fn a_message_that_was_lost_is_sent_again(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(kept.new_job()).await;
    kept.clock.advance(Duration::HOUR);
    let now = kept.clock.now();
    let ask = async || {
        kept.store
            .ask_again(now - Duration::minutes(15), now, 10, soon())
            .await
            .unwrap()
    };
    assert_eq!((ask().await, kept.asked(job.id).await), (1, 2));
    assert_eq!(ask().await, 0, "not again before its time");
}

async fn what_has_ended_is_forgotten_in_time(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(kept.new_job().kept_for(Duration::HOUR)).await;
    let other = kept.insert(kept.new_job()).await;
    let (lease, _) = kept.claim(job.id).await.unwrap();
    kept.store
        .finish(lease, &Ending::Succeeded(vec![]), kept.clock.now(), soon())
        .await
        .unwrap();
    let expired = async || kept.store.list_expired(kept.clock.now(), 10, soon()).await.unwrap();
    assert!(expired().await.is_empty());
    kept.clock.advance(Duration::HOUR);
    assert_eq!(expired().await, [job.id]);
    for id in [job.id, other.id] {
        kept.store.delete_expired(id, kept.clock.now(), soon()).await.unwrap();
    }
    assert!(kept.store.find_any_job(job.id, soon()).await.unwrap().is_none());
    assert!(kept.store.find_any_job(other.id, soon()).await.unwrap().is_some());
}

async fn progress_is_seen_by_others(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(kept.new_job()).await;
    let (lease, _) = kept.claim(job.id).await.unwrap();
    assert!(
        kept.store
            .report(lease, 40, "40 of 100", kept.clock.now(), soon())
            .await
            .unwrap()
    );
    let seen = kept.find(job.id).await;
    assert_eq!((seen.progress, seen.note.as_str()), (40, "40 of 100"));
}
