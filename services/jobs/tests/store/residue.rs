use quartet_jobs::Error;
use quartet_jobs::domain::{Ending, Job, NewJob, Problem, Status, UniqueKey};
use quartet_store::Database;
use quartet_testkit::database::Fresh;
use time::Duration;

use super::{Kept, soon};

quartet_testkit::on_both_databases!(
    what_is_secret_is_kept_until_the_job_has_ended,
    a_job_that_is_cancelled_while_it_waits_keeps_no_secret,
    a_job_whose_worker_died_while_it_was_cancelled_keeps_no_secret,
    a_dead_letter_keeps_its_secret_and_is_replayed_with_it,
    a_key_finds_its_job_after_the_secret_is_gone,
    a_job_without_its_secret_does_not_start_again,
    without_a_residue_all_of_the_payload_stays,
);

const WHOLE: [u8; 3] = [1, 2, 3];
const REST: [u8; 1] = [1];

fn problem() -> Problem {
    Problem::new("UNAVAILABLE", "away")
}

/// A job with a secret.
fn secret(kept: &Kept) -> NewJob {
    NewJob {
        payload: WHOLE.into(),
        max_attempts: 1,
        ..kept.new_job()
    }
    .leaving(REST.into())
}

/// What the database has for the payload.
async fn stored(kept: &Kept, job: &Job) -> Vec<u8> {
    let sql = "select payload from jobs where id = $1";
    match &kept.database {
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

async fn end(kept: &Kept, job: &Job, ending: Ending) -> Job {
    let (lease, claimed) = kept.claim(job.id).await.unwrap();
    assert_eq!((claimed.payload, stored(kept, job).await), (WHOLE.into(), WHOLE.into()));
    let ended = kept.store.finish(lease, &ending, kept.clock.now(), soon()).await;
    let ended = ended.unwrap().unwrap();
    assert_eq!(kept.find(job.id).await, ended);
    ended
}

async fn what_is_secret_is_kept_until_the_job_has_ended(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let later = kept.clock.now() + Duration::HOUR;
    for (ending, status, payload) in [
        (Ending::Succeeded(vec![7]), Status::Succeeded, &REST[..]),
        (Ending::Failed(problem()), Status::Failed, &REST),
        (Ending::Cancelled, Status::Cancelled, &REST),
        (Ending::HandedBack, Status::Queued, &WHOLE),
        (Ending::Retry(problem(), later), Status::Scheduled, &WHOLE),
    ] {
        let job = kept
            .insert(NewJob {
                max_attempts: 2,
                ..secret(&kept)
            })
            .await;
        assert_eq!(end(&kept, &job, ending).await.status, status);
        assert_eq!(stored(&kept, &job).await, payload, "{status:?}");
    }
}

async fn a_job_that_is_cancelled_while_it_waits_keeps_no_secret(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(secret(&kept)).await;
    let cancelled = kept
        .store
        .cancel_job(kept.owner, job.id, kept.clock.now(), soon())
        .await;
    assert_eq!(cancelled.unwrap().unwrap().status, Status::Cancelled);
    assert_eq!(stored(&kept, &job).await, REST);
}

async fn a_job_whose_worker_died_while_it_was_cancelled_keeps_no_secret(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(secret(&kept)).await;
    kept.claim(job.id).await.unwrap();
    kept.store
        .cancel_job(kept.owner, job.id, kept.clock.now(), soon())
        .await
        .unwrap();
    assert_eq!(stored(&kept, &job).await, WHOLE, "its worker may be at it");
    kept.clock.advance(Duration::minutes(2));
    assert_eq!(kept.store.rescue(kept.clock.now(), 10, soon()).await.unwrap(), 1);
    assert_eq!(kept.find(job.id).await.status, Status::Cancelled);
    assert_eq!(stored(&kept, &job).await, REST);
}

async fn a_dead_letter_keeps_its_secret_and_is_replayed_with_it(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(secret(&kept)).await;
    let ended = end(&kept, &job, Ending::Retry(problem(), kept.clock.now())).await;
    assert_eq!((ended.status, stored(&kept, &job).await), (Status::Dead, WHOLE.into()));
    kept.store
        .replay_job(job.id, kept.clock.now(), soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        end(&kept, &job, Ending::Succeeded(vec![])).await.status,
        Status::Succeeded
    );
    assert_eq!(stored(&kept, &job).await, REST);
}

async fn a_key_finds_its_job_after_the_secret_is_gone(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let new = || secret(&kept).once(UniqueKey::of("mail", 1));
    let job = kept.insert(new()).await;
    end(&kept, &job, Ending::Succeeded(vec![])).await;
    let (found, made) = kept.store.insert_job(&new(), kept.clock.now(), soon()).await.unwrap();
    assert_eq!((found.id, made), (job.id, false));
    let other = NewJob {
        payload: vec![9, 2, 3],
        residue: Some(vec![9]),
        ..new()
    };
    let refused = kept.store.insert_job(&other, kept.clock.now(), soon()).await;
    assert!(matches!(refused, Err(Error::TaskKeyReused { .. })), "{refused:?}");
}

async fn a_job_without_its_secret_does_not_start_again(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let job = kept.insert(secret(&kept)).await;
    end(&kept, &job, Ending::Failed(problem())).await;
    let refused = kept
        .store
        .restart_job(kept.owner, job.id, kept.clock.now(), soon())
        .await;
    assert!(matches!(refused, Err(Error::TaskNotRetryable { .. })), "{refused:?}");
}

async fn without_a_residue_all_of_the_payload_stays(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let new = NewJob {
        payload: WHOLE.into(),
        ..kept.new_job()
    };
    for new in [
        new.clone(),
        NewJob {
            id: kept.clock.new_id(),
            ..new
        }
        .leaving(WHOLE.into()),
    ] {
        let job = kept.insert(new).await;
        end(&kept, &job, Ending::Failed(problem())).await;
        assert_eq!(stored(&kept, &job).await, WHOLE);
        let again = kept
            .store
            .restart_job(kept.owner, job.id, kept.clock.now(), soon())
            .await;
        assert_eq!(again.unwrap().unwrap().status, Status::Queued);
    }
}
