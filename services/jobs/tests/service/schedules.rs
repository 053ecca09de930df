use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use quartet_jobs::domain::{Filter, Kind};
use quartet_jobs::workers::Done;
use quartet_proto::jobs::v1 as pb;
use quartet_store::page::{Page, Start};

use crate::harness::{Harness, Scripted, Setting, eventually};

#[tokio::test]
async fn a_schedule_fires_once_at_each_moment_though_two_workers_keep_it() {
    let runs = Arc::new(AtomicU32::new(0));
    let count = runs.clone();
    let handler = Scripted::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok(Done(vec![])) }
    });
    let harness = Harness::new(Setting {
        settings: vec![("JOBS_PURGE_SCHEDULE", "* * * * * *".into())],
        handlers: vec![(Kind::PurgeDeleted, handler)],
        ..Setting::default()
    })
    .await;
    let (mut one, two) = (harness.start().await, harness.start().await);
    eventually("three times have come", async || {
        (runs.load(Ordering::SeqCst) >= 3).then_some(())
    })
    .await;

    let schedules = one
        .tasks
        .list_schedules(harness.superuser.request(pb::ListSchedulesRequest::default()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(schedules.data.len(), 1);
    assert_eq!(
        (schedules.data[0].name.as_str(), schedules.data[0].cron.as_str()),
        ("purge_deleted", "* * * * * *")
    );
    one.stop().await;
    two.stop().await;
    let page = Page {
        size: 100,
        start: Start::Number(1),
    };
    let jobs = harness
        .store()
        .list_jobs(&Filter::default(), &page, &harness.cx())
        .await
        .unwrap()
        .rows;
    let times: HashSet<_> = jobs.iter().map(|job| job.unique_key.clone().unwrap()).collect();
    let span = jobs[0].created_at - jobs[jobs.len() - 1].created_at;
    assert_eq!(times.len(), jobs.len());
    assert!(
        jobs.len() as i64 <= span.whole_seconds() + 2,
        "{} jobs within {span}",
        jobs.len()
    );
    // Each ran once; one may have been caught by the stop.
    let done = jobs.iter().filter(|job| job.status.has_ended()).count() as u32;
    assert!(runs.load(Ordering::SeqCst) >= done && done + 1 >= jobs.len() as u32);
}
