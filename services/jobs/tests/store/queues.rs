use quartet_jobs::domain::{Filter, Kind, NewJob, Queue, SUITE, Schedule};
use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;
use time::Duration;

use super::{Harness, first_page};

quartet_testkit::on_both_databases!(
    queues_show_how_full_they_are,
    a_schedule_fires_once_however_many_workers_see_it,
    a_schedule_that_stays_keeps_its_next_time,
    a_schedule_that_is_not_set_any_more_goes,
    schedules_are_listed_in_pages,
);

async fn queues_show_how_full_they_are(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let first = harness.insert(harness.new_job().in_queue(Queue::High)).await;
    harness.insert(harness.new_job().in_queue(Queue::High)).await;
    let run_at = harness.clock.now() + Duration::HOUR;
    harness
        .insert(NewJob {
            run_at,
            ..harness.new_job()
        })
        .await;
    harness.claim(first.id).await.unwrap();
    harness.store.set_paused(Queue::Low, true, &harness.cx()).await.unwrap();
    let states = harness.store.queue_states(&harness.cx()).await.unwrap();
    let shown: Vec<_> = states
        .iter()
        .map(|s| (s.queue.name(), s.paused, s.scheduled, s.queued, s.running, s.dead))
        .collect();
    assert_eq!(
        shown,
        [
            ("high", false, 0, 1, 1, 0),
            ("default", false, 1, 0, 0, 0),
            ("low", true, 0, 0, 0, 0),
            ("webhooks", false, 0, 0, 0, 0)
        ]
    );
    assert!(states[0].oldest_queued_at.is_some() && states[1].oldest_queued_at.is_none());
}

fn nightly(harness: &Harness) -> Schedule {
    Schedule {
        name: "nightly".into(),
        cron: "0 3 * * *".into(),
        kind: Kind::PurgeDeleted,
        next_run_at: harness.clock.now(),
        last_run_at: None,
    }
}

async fn a_schedule_fires_once_however_many_workers_see_it(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    harness
        .store
        .put_schedule(&nightly(&harness), &harness.cx())
        .await
        .unwrap();
    let schedule = harness.store.list_all_schedules(&harness.cx()).await.unwrap().remove(0);
    let now = harness.clock.now();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, schedule, cx) = (harness.store.clone(), schedule.clone(), harness.cx());
            let job = NewJob::new(harness.clock.new_id(), SUITE, schedule.kind, vec![], now);
            tokio::spawn(async move {
                store
                    .fire_schedule(&schedule, now + Duration::DAY, &job, &cx)
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut fired = 0;
    for task in tasks {
        fired += i32::from(task.await.unwrap());
    }
    let jobs = harness
        .store
        .list_jobs(&Filter::default(), &first_page(10), &harness.cx())
        .await
        .unwrap();
    assert_eq!((fired, jobs.total), (1, 1));
    let after = harness.store.list_all_schedules(&harness.cx()).await.unwrap().remove(0);
    assert_eq!((after.next_run_at, after.last_run_at), (now + Duration::DAY, Some(now)));
}

async fn a_schedule_that_stays_keeps_its_next_time(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let first = nightly(&harness);
    harness.store.put_schedule(&first, &harness.cx()).await.unwrap();
    // A start while the time is overdue must not push it into the future.
    let later = Schedule {
        next_run_at: first.next_run_at + Duration::DAY,
        ..first.clone()
    };
    harness.store.put_schedule(&later, &harness.cx()).await.unwrap();
    assert_eq!(
        harness.store.list_all_schedules(&harness.cx()).await.unwrap()[0].next_run_at,
        first.next_run_at
    );
    let changed = Schedule {
        cron: "0 4 * * *".into(),
        ..later.clone()
    };
    harness.store.put_schedule(&changed, &harness.cx()).await.unwrap();
    assert_eq!(
        harness.store.list_all_schedules(&harness.cx()).await.unwrap(),
        [changed]
    );
}

async fn a_schedule_that_is_not_set_any_more_goes(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    harness
        .store
        .put_schedule(&nightly(&harness), &harness.cx())
        .await
        .unwrap();
    harness
        .store
        .retain_schedules(&["nightly"], &harness.cx())
        .await
        .unwrap();
    assert_eq!(harness.store.list_all_schedules(&harness.cx()).await.unwrap().len(), 1);
    harness.store.retain_schedules(&["other"], &harness.cx()).await.unwrap();
    assert!(
        harness
            .store
            .list_all_schedules(&harness.cx())
            .await
            .unwrap()
            .is_empty()
    );
}

async fn schedules_are_listed_in_pages(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    for name in ["c", "a", "b"] {
        let schedule = Schedule {
            name: name.into(),
            ..nightly(&harness)
        };
        harness.store.put_schedule(&schedule, &harness.cx()).await.unwrap();
    }
    let list = async |page: &Page<String>| {
        let page = harness.store.list_schedules(page, &harness.cx()).await.unwrap();
        let names: Vec<_> = page.rows.into_iter().map(|schedule| schedule.name).collect();
        (names.join(" "), page.total, page.has_more)
    };
    let by_number = |number| Page {
        start: Start::Number(number),
        ..first_page(2)
    };
    assert_eq!(list(&by_number(1)).await, ("a b".into(), 3, true));
    assert_eq!(list(&by_number(2)).await, ("c".into(), 3, false));
    assert_eq!(
        list(&by_number(3)).await,
        (String::new(), 3, false),
        "past the last page"
    );
    let after = Page {
        size: 2,
        start: Start::After {
            key: "a".to_owned(),
            total: 3,
            total_is_exact: true,
        },
    };
    assert_eq!(list(&after).await, ("b c".into(), 3, false));
}
