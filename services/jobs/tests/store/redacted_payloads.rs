use quartet_jobs::Error;
use quartet_jobs::domain::{Ending, Job, NewJob, Problem, Status, UniqueKey};
use quartet_store::Database;
use quartet_testkit::database::Fresh;
use time::Duration;

use super::{BOUNDS, Harness};

quartet_testkit::on_both_databases!(
    what_is_secret_is_kept_until_the_job_has_ended,
    a_job_that_is_cancelled_while_it_waits_keeps_no_secret,
    a_job_whose_worker_died_while_it_was_cancelled_keeps_no_secret,
    a_dead_letter_keeps_its_secret_and_is_replayed_with_it,
    a_key_finds_its_job_after_the_secret_is_gone,
    a_job_without_its_secret_does_not_start_again,
    without_a_redacted_payload_all_of_the_payload_stays,
);

const WHOLE: [u8; 3] = [1, 2, 3];
const REST: [u8; 1] = [1];

fn problem() -> Problem {
    Problem::new("UNAVAILABLE", "away")
}

/// A job with a secret.
fn secret(harness: &Harness) -> NewJob {
    NewJob {
        payload: WHOLE.into(),
        max_attempts: 1,
        ..harness.new_job()
    }
    .redacted_to(REST.into())
}

/// What the database has for the payload.
async fn stored(harness: &Harness, job: &Job) -> Vec<u8> {
    let sql = "select payload from jobs where id = $1";
    match &harness.database {
        Database::Postgres(pool) => sqlx::query_scalar(sql)
            .bind(job.id)
            .fetch_one(pool.pool())
            .await
            .unwrap(),
        Database::Sqlite(pool) => sqlx::query_scalar(sql)
            .bind(job.id)
            .fetch_one(pool.pool())
            .await
            .unwrap(),
    }
}

async fn end(harness: &Harness, job: &Job, ending: Ending) -> Job {
    let (lease, claimed) = harness.claim(job.id).await.unwrap();
    assert_eq!(
        (&claimed.payload, &stored(harness, job).await),
        (&WHOLE.to_vec(), &WHOLE.to_vec())
    );
    let ended = harness.store.finish(lease, &claimed, &ending, &harness.cx()).await;
    let ended = ended.unwrap().unwrap();
    assert_eq!(harness.find(job.id).await, ended);
    ended
}

async fn what_is_secret_is_kept_until_the_job_has_ended(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let later = harness.clock.now() + Duration::HOUR;
    for (ending, status, payload) in [
        (Ending::Succeeded(vec![7]), Status::Succeeded, &REST[..]),
        (Ending::Failed(problem()), Status::Failed, &REST),
        (Ending::Cancelled, Status::Cancelled, &REST),
        (Ending::Released, Status::Queued, &WHOLE),
        (Ending::Retry(problem(), later), Status::Scheduled, &WHOLE),
    ] {
        let job = harness
            .insert(NewJob {
                max_attempts: 2,
                ..secret(&harness)
            })
            .await;
        assert_eq!(end(&harness, &job, ending).await.status, status);
        assert_eq!(stored(&harness, &job).await, payload, "{status:?}");
    }
}

async fn a_job_that_is_cancelled_while_it_waits_keeps_no_secret(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(secret(&harness)).await;
    let cancelled = harness.store.cancel_job(harness.owner, job.id, &harness.cx()).await;
    assert_eq!(cancelled.unwrap().unwrap().status, Status::Cancelled);
    assert_eq!(stored(&harness, &job).await, REST);
}

async fn a_job_whose_worker_died_while_it_was_cancelled_keeps_no_secret(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(secret(&harness)).await;
    harness.claim(job.id).await.unwrap();
    harness
        .store
        .cancel_job(harness.owner, job.id, &harness.cx())
        .await
        .unwrap();
    assert_eq!(stored(&harness, &job).await, WHOLE, "its worker may be at it");
    harness.clock.advance(Duration::minutes(2));
    assert_eq!(harness.store.rescue(10, &harness.cx()).await.unwrap(), 1);
    assert_eq!(harness.find(job.id).await.status, Status::Cancelled);
    assert_eq!(stored(&harness, &job).await, REST);
}

async fn a_dead_letter_keeps_its_secret_and_is_replayed_with_it(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(secret(&harness)).await;
    let ended = end(&harness, &job, Ending::Retry(problem(), harness.clock.now())).await;
    assert_eq!(
        (ended.status, stored(&harness, &job).await),
        (Status::Dead, WHOLE.into())
    );
    harness
        .store
        .replay_job(job.id, BOUNDS, &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        end(&harness, &job, Ending::Succeeded(vec![])).await.status,
        Status::Succeeded
    );
    assert_eq!(stored(&harness, &job).await, REST);
}

async fn a_key_finds_its_job_after_the_secret_is_gone(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let new = || secret(&harness).once(UniqueKey::of("mail", 1));
    let job = harness.insert(new()).await;
    end(&harness, &job, Ending::Succeeded(vec![])).await;
    let (found, made) = harness.store.insert_job(&new(), &harness.cx()).await.unwrap();
    assert_eq!((found.id, made), (job.id, false));
    let other = NewJob {
        payload: vec![9, 2, 3],
        redacted_payload: Some(vec![9]),
        ..new()
    };
    let refused = harness.store.insert_job(&other, &harness.cx()).await;
    assert!(matches!(refused, Err(Error::TaskKeyReused { .. })), "{refused:?}");
}

async fn a_job_without_its_secret_does_not_start_again(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(secret(&harness)).await;
    end(&harness, &job, Ending::Failed(problem())).await;
    let refused = harness
        .store
        .restart_job(harness.owner, job.id, BOUNDS, &harness.cx())
        .await;
    assert!(matches!(refused, Err(Error::TaskNotRetryable { .. })), "{refused:?}");
}

async fn without_a_redacted_payload_all_of_the_payload_stays(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let new = NewJob {
        payload: WHOLE.into(),
        ..harness.new_job()
    };
    for new in [
        new.clone(),
        NewJob {
            id: harness.clock.new_id(),
            ..new
        }
        .redacted_to(WHOLE.into()),
    ] {
        let job = harness.insert(new).await;
        end(&harness, &job, Ending::Failed(problem())).await;
        assert_eq!(stored(&harness, &job).await, WHOLE);
        let again = harness
            .store
            .restart_job(harness.owner, job.id, BOUNDS, &harness.cx())
            .await;
        assert_eq!(again.unwrap().unwrap().status, Status::Queued);
    }
}
