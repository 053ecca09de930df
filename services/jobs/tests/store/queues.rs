use quartet_jobs::domain::{Filter, Kind, NewJob, Queue, SUITE, Schedule};
use quartet_testkit::database::Fresh;
use time::Duration;

use super::{Kept, first_page, soon};

quartet_testkit::on_both_databases!(
    queues_tell_how_full_they_are,
    a_schedule_fires_once_however_many_workers_see_it,
    a_schedule_that_stays_keeps_its_next_moment,
    a_schedule_that_is_not_set_any_more_goes,
);

async fn queues_tell_how_full_they_are(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let first = kept.insert(kept.new_job().in_queue(Queue::High)).await;
    kept.insert(kept.new_job().in_queue(Queue::High)).await;
    let run_at = kept.clock.now() + Duration::HOUR;
    kept.insert(NewJob {
        run_at,
        ..kept.new_job()
    })
    .await;
    kept.claim(first.id).await.unwrap();
    kept.store.set_paused(Queue::Low, true, soon()).await.unwrap();
    let states = kept.store.queue_states(soon()).await.unwrap();
    let told: Vec<_> = states
        .iter()
        .map(|s| (s.queue.name(), s.paused, s.scheduled, s.queued, s.running, s.dead))
        .collect();
    assert_eq!(
        told,
        [
            ("high", false, 0, 1, 1, 0),
            ("default", false, 1, 0, 0, 0),
            ("low", true, 0, 0, 0, 0)
        ]
    );
    assert!(states[0].oldest_queued_at.is_some() && states[1].oldest_queued_at.is_none());
}

fn nightly(kept: &Kept) -> Schedule {
    Schedule {
        name: "nightly".into(),
        cron: "0 3 * * *".into(),
        kind: Kind::PurgeDeleted,
        next_run_at: kept.clock.now(),
        last_run_at: None,
    }
}

async fn a_schedule_fires_once_however_many_workers_see_it(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    kept.store.put_schedule(&nightly(&kept), soon()).await.unwrap();
    let schedule = kept.store.list_schedules(soon()).await.unwrap().remove(0);
    let now = kept.clock.now();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, schedule) = (kept.store.clone(), schedule.clone());
            let job = NewJob::new(kept.clock.new_id(), SUITE, schedule.kind, vec![], now);
            tokio::spawn(async move {
                store
                    .fire_schedule(&schedule, now + Duration::DAY, &job, now, soon())
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut fired = 0;
    for task in tasks {
        fired += i32::from(task.await.unwrap());
    }
    let jobs = kept
        .store
        .list_jobs(&Filter::default(), &first_page(10), soon())
        .await
        .unwrap();
    assert_eq!((fired, jobs.total), (1, 1));
    let after = kept.store.list_schedules(soon()).await.unwrap().remove(0);
    assert_eq!((after.next_run_at, after.last_run_at), (now + Duration::DAY, Some(now)));
}

async fn a_schedule_that_stays_keeps_its_next_moment(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let first = nightly(&kept);
    kept.store.put_schedule(&first, soon()).await.unwrap();
    // A start while the moment is overdue must not push it into the future.
    let later = Schedule {
        next_run_at: first.next_run_at + Duration::DAY,
        ..first.clone()
    };
    kept.store.put_schedule(&later, soon()).await.unwrap();
    assert_eq!(
        kept.store.list_schedules(soon()).await.unwrap()[0].next_run_at,
        first.next_run_at
    );
    let changed = Schedule {
        cron: "0 4 * * *".into(),
        ..later.clone()
    };
    kept.store.put_schedule(&changed, soon()).await.unwrap();
    assert_eq!(kept.store.list_schedules(soon()).await.unwrap(), [changed]);
}

async fn a_schedule_that_is_not_set_any_more_goes(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    kept.store.put_schedule(&nightly(&kept), soon()).await.unwrap();
    kept.store.retain_schedules(&["nightly"], soon()).await.unwrap();
    assert_eq!(kept.store.list_schedules(soon()).await.unwrap().len(), 1);
    kept.store.retain_schedules(&["other"], soon()).await.unwrap();
    assert!(kept.store.list_schedules(soon()).await.unwrap().is_empty());
}
