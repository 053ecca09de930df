use quartet_jobs::Error;
use quartet_jobs::domain::{Filter, Key, Kind, NewJob, Queue, Status, UniqueKey};
use quartet_jobs::store::Reaction;
use quartet_messaging::Message;
use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;
use time::Duration;

use super::{BOUNDS, Harness, first_page};

quartet_testkit::on_both_databases!(
    a_job_is_read_back_as_it_was_written,
    a_job_that_is_due_asks_for_a_worker_with_the_write,
    a_job_for_later_asks_for_nobody,
    sixty_four_at_once_with_one_key_make_one_job,
    a_key_of_another_payload_is_refused,
    a_key_is_its_owners_alone,
    a_message_makes_its_jobs_once,
    another_owner_finds_nothing,
    a_list_shows_what_passes_the_filters,
    a_waiting_job_is_cancelled_at_once,
    what_has_ended_is_not_cancelled,
    a_cancelled_job_starts_again,
);

async fn a_job_is_read_back_as_it_was_written(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let new = harness
        .new_job()
        .in_queue(Queue::High)
        .once(UniqueKey::of("k", 1))
        .kept_for(Duration::hours(2));
    let (made, fresh) = harness.store.insert_job(&new, &harness.cx()).await.unwrap();
    assert!(fresh);
    assert_eq!(harness.find(new.id).await, made);
    assert_eq!(
        (made.queue, made.status, made.attempts, made.max_attempts),
        (Queue::High, Status::Queued, 0, 5)
    );
    assert_eq!((made.payload, made.result_ttl), (vec![1, 2], Duration::hours(2)));
}

async fn a_job_that_is_due_asks_for_a_worker_with_the_write(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    harness.insert(harness.new_job()).await;
    assert_eq!(harness.messages().await, 1);
}

async fn a_job_for_later_asks_for_nobody(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let run_at = harness.clock.now() + Duration::HOUR;
    let job = harness
        .insert(NewJob {
            run_at,
            ..harness.new_job()
        })
        .await;
    assert_eq!((job.status, harness.messages().await), (Status::Scheduled, 0));
}

async fn sixty_four_at_once_with_one_key_make_one_job(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (store, new, cx) = (
                harness.store.clone(),
                harness.new_job().once(UniqueKey::of("only", "one")),
                harness.cx(),
            );
            tokio::spawn(async move { store.insert_job(&new, &cx).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|(_, made)| *made).count(), 1);
    let id = answers[0].0.id;
    assert!(answers.iter().all(|(job, _)| job.id == id));
    let all = harness
        .store
        .list_jobs(&Filter::default(), &first_page(10), &harness.cx())
        .await
        .unwrap();
    assert_eq!((all.total, harness.messages().await), (1, 1));
}

async fn a_key_of_another_payload_is_refused(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let first = harness.insert(harness.new_job().once(UniqueKey::of("a", "b"))).await;
    let other = NewJob {
        payload: vec![9],
        ..harness.new_job().once(UniqueKey::of("a", "b"))
    };
    let refused = harness.store.insert_job(&other, &harness.cx()).await;
    assert!(
        matches!(refused, Err(Error::TaskKeyReused { id }) if id == first.id),
        "{refused:?}"
    );
}

async fn a_key_is_its_owners_alone(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let first = harness.insert(harness.new_job().once(UniqueKey::of("a", "b"))).await;
    let other = NewJob {
        owner: harness.clock.new_id(),
        ..harness.new_job().once(UniqueKey::of("a", "b"))
    };
    assert_ne!(harness.insert(other).await.id, first.id);
}

async fn a_message_makes_its_jobs_once(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let message = || Message::event(&harness.clock, "/auth", "auth.account.registered.v1", "x", &());
    let (first, second) = (message(), message());
    for _ in 0..2 {
        // One of them comes twice in one batch as well.
        let reactions = [&first, &second, &first].map(|message| (message, Reaction::Insert(harness.new_job())));
        harness
            .store
            .react("jobs.events", &reactions, &harness.cx())
            .await
            .unwrap();
    }
    let all = harness
        .store
        .list_jobs(&Filter::default(), &first_page(10), &harness.cx())
        .await
        .unwrap();
    assert_eq!(all.total, 2);
}

async fn another_owner_finds_nothing(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    let other = harness.clock.new_id();
    assert!(
        harness
            .store
            .find_job(other, job.id, &harness.cx())
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        harness
            .store
            .cancel_job(other, job.id, &harness.cx())
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        harness
            .store
            .restart_job(other, job.id, BOUNDS, &harness.cx())
            .await
            .unwrap()
            .is_none()
    );
    let filter = Filter {
        owner: Some(other),
        ..Filter::default()
    };
    assert_eq!(
        harness
            .store
            .list_jobs(&filter, &first_page(10), &harness.cx())
            .await
            .unwrap()
            .total,
        0
    );
    assert_eq!(harness.find(job.id).await, job);
}

async fn a_list_shows_what_passes_the_filters(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(harness.insert(harness.new_job()).await.id);
    }
    let mail = harness
        .insert(NewJob {
            kind: Kind::SendEmail,
            ..harness.new_job()
        })
        .await;
    let list = async |filter: Filter, page: Page<Key>| {
        let rows = harness.store.list_jobs(&filter, &page, &harness.cx()).await.unwrap();
        (
            rows.rows.iter().map(|job| job.id).collect::<Vec<_>>(),
            rows.total,
            rows.has_more,
        )
    };
    let mine = Filter {
        owner: Some(harness.owner),
        ..Filter::default()
    };
    assert_eq!(
        list(mine.clone(), first_page(2)).await,
        (vec![mail.id, ids[2]], 4, true)
    );
    let next = Page {
        size: 2,
        start: Start::After {
            key: Key(ids[2]),
            total: 4,
            total_is_exact: true,
        },
    };
    assert_eq!(list(mine.clone(), next).await, (vec![ids[1], ids[0]], 4, false));
    let mails = Filter {
        kind: Some(Kind::SendEmail),
        ..mine.clone()
    };
    assert_eq!(list(mails, first_page(9)).await, (vec![mail.id], 1, false));
    let running = Filter {
        status: Some(Status::Running),
        ..mine
    };
    assert_eq!(list(running, first_page(9)).await, (vec![], 0, false));
}

async fn a_waiting_job_is_cancelled_at_once(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    for _ in 0..2 {
        let cancelled = harness
            .store
            .cancel_job(harness.owner, job.id, &harness.cx())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (cancelled.status, cancelled.finished_at),
            (Status::Cancelled, Some(harness.clock.now()))
        );
    }
    assert!(harness.claim(job.id).await.is_none());
}

async fn what_has_ended_is_not_cancelled(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    let (lease, claimed) = harness.claim(job.id).await.unwrap();
    let done = quartet_jobs::domain::Ending::Succeeded(vec![7]);
    harness
        .store
        .finish(lease, &claimed, &done, &harness.cx())
        .await
        .unwrap()
        .unwrap();
    let refused = harness.store.cancel_job(harness.owner, job.id, &harness.cx()).await;
    assert!(matches!(refused, Err(Error::TaskEnded { .. })), "{refused:?}");
    let refused = harness
        .store
        .restart_job(harness.owner, job.id, BOUNDS, &harness.cx())
        .await;
    assert!(matches!(refused, Err(Error::TaskNotRetryable { .. })), "{refused:?}");
}

async fn a_cancelled_job_starts_again(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let job = harness.insert(harness.new_job()).await;
    harness
        .store
        .cancel_job(harness.owner, job.id, &harness.cx())
        .await
        .unwrap();
    let again = harness
        .store
        .restart_job(harness.owner, job.id, BOUNDS, &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (again.status, again.cancel_requested, again.expires_at),
        (Status::Queued, false, None)
    );
    assert_eq!((harness.find(job.id).await, harness.messages().await), (again, 2));
}
