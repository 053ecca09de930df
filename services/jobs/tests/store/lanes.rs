use std::collections::BTreeSet;
use std::time::{Duration as StdDuration, Instant};

use quartet_jobs::Error;
use quartet_jobs::domain::{
    Delivery, Ending, EventType, Job, Kind, Lane, LaneBounds, MailLimits, NewJob, NewWebhook, OutgoingMail, Problem,
    Queue, Status, Target, UniqueKey,
};
use quartet_jobs::store::{Lease, Reaction};
use quartet_kernel::Scope;
use quartet_messaging::Message;
use quartet_store::Context;
use quartet_testkit::database::Fresh;
use time::Duration;
use uuid::Uuid;

use super::{BOUNDS, Harness};

quartet_testkit::on_both_databases!(
    an_owner_has_so_many_places_and_the_next_job_gets_the_place_of_one_that_ends,
    another_owner_does_not_wait_behind_a_long_lane,
    of_many_insertions_at_once_as_many_get_a_place_as_there_are,
    insertions_and_ends_at_once_leave_nobody_waiting_at_a_free_place,
    as_many_claims_as_jobs_claim_all_of_them,
    an_owner_has_so_many_unfinished_jobs,
    a_known_key_is_answered_in_a_full_lane_and_counts_once,
    a_job_that_waits_is_cancelled_and_starts_again,
    a_cancellation_in_a_scope_does_not_wait_for_itself,
    a_retry_leaves_its_place_to_the_next_one,
    a_released_job_keeps_its_place,
    the_orphan_of_a_dead_worker_leaves_its_place,
    due_jobs_come_into_their_lane,
    a_place_that_nobody_gave_away_is_given_away_by_the_sweeper,
    a_lane_that_has_miscounted_is_counted_anew,
    owners_take_turns_at_one_host,
    a_deleted_user_leaves_room_at_a_shared_host,
    a_lane_is_paced,
    mails_to_an_address_have_a_limit,
    mails_for_an_account_have_a_limit,
    a_mail_counts_for_its_account_before_its_address_is_known,
);

/// An owner's job in their lane of two places and five jobs.
fn in_lane(harness: &Harness, owner: Uuid) -> NewJob {
    let job = NewJob {
        owner,
        ..harness.new_job()
    };
    job.in_lane(BOUNDS.of_owner(owner))
}

impl Harness {
    async fn insert_in_lane(&self) -> Job {
        self.insert(in_lane(self, self.owner)).await
    }

    async fn succeed(&self, (lease, job): (Lease, Job)) {
        self.end((lease, job), Ending::Succeeded(vec![])).await;
    }

    async fn end(&self, (lease, job): (Lease, Job), ending: Ending) {
        let ended = self.store.finish(lease, &job, &ending, &self.cx()).await.unwrap();
        assert!(ended.is_some());
    }

    /// Jobs of all lanes that are unfinished, wait for a place, and have one: by the lanes, and as
    /// counted from the jobs.
    async fn lanes(&self) -> (i64, i64, i64) {
        let kept = (
            self.number("select cast(coalesce(sum(pending), 0) as bigint) from lanes")
                .await,
            self.number("select cast(coalesce(sum(waiting), 0) as bigint) from lanes")
                .await,
            self.number("select cast(coalesce(sum(admitted), 0) as bigint) from lanes")
                .await,
        );
        let counted = (
            self.number("select count(*) from jobs where lane is not null and finished_at is null")
                .await,
            self.number(
                "select count(*) from jobs where lane is not null and status = 'queued' and admitted_at is null",
            )
            .await,
            self.number(
                "select count(*) from jobs
                  where lane is not null and finished_at is null and admitted_at is not null",
            )
            .await,
        );
        assert_eq!(kept, counted, "what the lanes count is what there is");
        kept
    }
}

async fn an_owner_has_so_many_places_and_the_next_job_gets_the_place_of_one_that_ends(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(harness.insert_in_lane().await.id);
    }
    assert_eq!((harness.lanes().await, harness.messages().await), ((4, 2, 2), 2));
    let first = harness.claim_next().await.unwrap();
    let second = harness.claim_next().await.unwrap();
    assert_eq!([first.1.id, second.1.id], jobs[..2]);
    assert!(harness.claim_next().await.is_none(), "both places are taken");
    harness.succeed(second).await;
    assert_eq!((harness.lanes().await, harness.messages().await), ((3, 1, 2), 3));
    let third = harness.claim_next().await.unwrap();
    assert_eq!(third.1.id, jobs[2]);
    harness.succeed(first).await;
    harness.succeed(third).await;
    let fourth = harness.claim_next().await.unwrap();
    assert_eq!(fourth.1.id, jobs[3]);
    harness.succeed(fourth).await;
    assert_eq!((harness.lanes().await, harness.messages().await), ((0, 0, 0), 4));
}

async fn another_owner_does_not_wait_behind_a_long_lane(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    for _ in 0..5 {
        harness.insert_in_lane().await;
    }
    let other = harness.insert(in_lane(&harness, harness.clock.new_id())).await;
    let claimed = [
        harness.claim_next().await.unwrap().1,
        harness.claim_next().await.unwrap().1,
        harness.claim_next().await.unwrap().1,
    ];
    assert_eq!(
        claimed[2].id, other.id,
        "behind the two of the other owner that have a place"
    );
    assert!(harness.claim_next().await.is_none());
}

async fn of_many_insertions_at_once_as_many_get_a_place_as_there_are(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (store, cx, job) = (harness.store.clone(), harness.cx(), in_lane(&harness, harness.owner));
            tokio::spawn(async move { store.insert_job(&job, &cx).await })
        })
        .collect();
    let mut refused = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => {}
            Err(Error::QuotaExceeded {
                quota: "tasks",
                limit: 5,
            }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((refused, harness.lanes().await), (11, (5, 3, 2)));
}

async fn insertions_and_ends_at_once_leave_nobody_waiting_at_a_free_place(fresh: Fresh) {
    let harness = std::sync::Arc::new(Harness::new(fresh).await);
    let bounds = LaneBounds { limit: None, ..BOUNDS };
    let insert = |harness: std::sync::Arc<Harness>| async move {
        for _ in 0..30 {
            let job = harness.new_job().in_lane(bounds.of_owner(harness.owner));
            harness.store.insert_job(&job, &harness.cx()).await.unwrap();
        }
    };
    let work = |harness: std::sync::Arc<Harness>| async move {
        let mut done = 0;
        while harness
            .number("select count(*) from jobs where finished_at is not null")
            .await
            < 120
        {
            if let Some(claimed) = harness.claim_next().await {
                harness.succeed(claimed).await;
                done += 1;
            } else {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                // Of a race that only the sweeper ends.
                harness.store.fill_lanes(10, &harness.cx()).await.unwrap();
            }
        }
        done
    };
    let inserting: Vec<_> = (0..4).map(|_| tokio::spawn(insert(harness.clone()))).collect();
    let working: Vec<_> = (0..4).map(|_| tokio::spawn(work(harness.clone()))).collect();
    for task in inserting {
        task.await.unwrap();
    }
    let mut done = 0;
    for task in working {
        done += task.await.unwrap();
    }
    assert_eq!((done, harness.lanes().await), (120, (0, 0, 0)));
}

async fn as_many_claims_as_jobs_claim_all_of_them(fresh: Fresh) {
    let harness = std::sync::Arc::new(Harness::new(fresh).await);
    // Each job brings one message, and each message makes one claim: of any job, but of one.
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let harness = harness.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    harness
                        .store
                        .insert_job(&harness.new_job(), &harness.cx())
                        .await
                        .unwrap();
                    assert!(harness.claim_next().await.is_some(), "a message without a job");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(harness.claim_next().await.is_none());
}

async fn an_owner_has_so_many_unfinished_jobs(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let run_at = harness.clock.now() + Duration::HOUR;
    harness
        .insert(NewJob {
            run_at,
            ..in_lane(&harness, harness.owner)
        })
        .await;
    for _ in 0..4 {
        harness.insert_in_lane().await;
    }
    let refused = harness
        .store
        .insert_job(&in_lane(&harness, harness.owner), &harness.cx())
        .await;
    assert!(
        matches!(
            refused,
            Err(Error::QuotaExceeded {
                quota: "tasks",
                limit: 5
            })
        ),
        "{refused:?}"
    );
    // Another priority is counted by itself, and so is another owner.
    harness
        .insert(in_lane(&harness, harness.owner).in_queue(Queue::Low))
        .await;
    harness.insert(in_lane(&harness, harness.clock.new_id())).await;
    let claimed = harness.claim_next().await.unwrap();
    harness.succeed(claimed).await;
    harness.insert_in_lane().await;
    assert_eq!(harness.lanes().await, (7, 2, 4));
}

async fn a_known_key_is_answered_in_a_full_lane_and_counts_once(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let keyed = || in_lane(&harness, harness.owner).once(UniqueKey::of("test", "key"));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, cx, job) = (harness.store.clone(), harness.cx(), keyed());
            tokio::spawn(async move { store.insert_job(&job, &cx).await.unwrap() })
        })
        .collect();
    let (mut made, mut ids) = (0, BTreeSet::new());
    for task in tasks {
        let (job, is_made) = task.await.unwrap();
        made += i32::from(is_made);
        ids.insert(job.id);
    }
    assert_eq!((made, ids.len(), harness.lanes().await), (1, 1, (1, 0, 1)));
    for _ in 0..4 {
        harness.insert_in_lane().await;
    }
    let (known, is_made) = harness.store.insert_job(&keyed(), &harness.cx()).await.unwrap();
    assert!(ids.contains(&known.id) && !is_made);
    assert_eq!(harness.lanes().await, (5, 3, 2));
}

/// The lane says that somebody waits for the place that becomes free, and nobody can be found: it is
/// counted anew, which the transaction of the scope must not keep from ending.
async fn a_cancellation_in_a_scope_does_not_wait_for_itself(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let first = harness.insert_in_lane().await;
    harness.execute("update lanes set waiting = 1").await;
    let cx = Context {
        scope: Some(Scope::default()),
        ..harness.cx()
    };
    let begun = Instant::now();
    let cancelled = harness.store.cancel_job(harness.owner, first.id, &cx).await.unwrap();
    assert_eq!(cancelled.unwrap().status, Status::Cancelled);
    assert!(begun.elapsed() < StdDuration::from_secs(4), "{:?}", begun.elapsed());
}

async fn a_job_that_waits_is_cancelled_and_starts_again(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let first = harness.insert_in_lane().await;
    harness.insert_in_lane().await;
    let third = harness.insert_in_lane().await;
    let cancel = async |id| {
        let cancelled = harness
            .store
            .cancel_job(harness.owner, id, &harness.cx())
            .await
            .unwrap();
        assert_eq!(cancelled.unwrap().status, Status::Cancelled);
    };
    cancel(third.id).await;
    assert_eq!(harness.lanes().await, (2, 0, 2));
    let restart = async |id| {
        harness
            .store
            .restart_job(harness.owner, id, BOUNDS, &harness.cx())
            .await
    };
    restart(third.id).await.unwrap();
    assert_eq!((harness.lanes().await, harness.messages().await), ((3, 1, 2), 2));
    cancel(first.id).await;
    assert_eq!((harness.lanes().await, harness.messages().await), ((2, 0, 2), 3));
    for _ in 0..3 {
        harness.insert_in_lane().await;
    }
    let refused = restart(first.id).await;
    assert!(matches!(refused, Err(Error::QuotaExceeded { .. })), "{refused:?}");
    assert_eq!(harness.find(first.id).await.status, Status::Cancelled);
    assert_eq!(harness.lanes().await, (5, 3, 2));
}

async fn a_retry_leaves_its_place_to_the_next_one(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    for _ in 0..3 {
        harness.insert_in_lane().await;
    }
    let first = harness.claim_next().await.unwrap();
    let id = first.1.id;
    let at = harness.clock.now() + Duration::MINUTE;
    harness
        .end(first, Ending::Retry(Problem::new("AWAY", "away"), at))
        .await;
    assert_eq!((harness.lanes().await, harness.messages().await), ((3, 0, 2), 3));
    harness.clock.advance(Duration::MINUTE);
    assert_eq!(harness.store.enqueue_due(10, &harness.cx()).await.unwrap(), 1);
    assert_eq!((harness.lanes().await, harness.messages().await), ((3, 1, 2), 3));
    let job = harness.find(id).await;
    assert_eq!((job.status, job.admitted_at), (Status::Queued, None));
}

async fn a_released_job_keeps_its_place(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    for _ in 0..3 {
        harness.insert_in_lane().await;
    }
    let first = harness.claim_next().await.unwrap();
    let id = first.1.id;
    harness.end(first, Ending::Released).await;
    assert_eq!((harness.lanes().await, harness.messages().await), ((3, 1, 2), 3));
    assert_eq!(harness.claim_next().await.unwrap().1.id, id);
}

async fn the_orphan_of_a_dead_worker_leaves_its_place(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    for _ in 0..4 {
        harness.insert_in_lane().await;
    }
    harness.claim_next().await.unwrap();
    harness.claim_next().await.unwrap();
    harness.clock.advance(Duration::minutes(2));
    assert_eq!(harness.store.rescue(10, &harness.cx()).await.unwrap(), 2);
    assert_eq!((harness.lanes().await, harness.messages().await), ((4, 0, 2), 4));
}

async fn due_jobs_come_into_their_lane(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let run_at = harness.clock.now() + Duration::HOUR;
    for _ in 0..4 {
        harness
            .insert(NewJob {
                run_at,
                ..in_lane(&harness, harness.owner)
            })
            .await;
    }
    assert_eq!(harness.lanes().await, (4, 0, 0));
    harness.clock.advance(Duration::HOUR);
    assert_eq!(harness.store.enqueue_due(10, &harness.cx()).await.unwrap(), 4);
    assert_eq!((harness.lanes().await, harness.messages().await), ((4, 2, 2), 2));
    // A paused queue sets a job aside with its place, and takes it up again.
    harness
        .store
        .set_paused(Queue::Default, true, &harness.cx())
        .await
        .unwrap();
    assert!(harness.claim_next().await.is_none());
    assert_eq!(harness.lanes().await, (4, 2, 2));
    harness
        .store
        .set_paused(Queue::Default, false, &harness.cx())
        .await
        .unwrap();
    assert_eq!(harness.store.enqueue_due(10, &harness.cx()).await.unwrap(), 1);
    assert_eq!((harness.lanes().await, harness.messages().await), ((4, 2, 2), 3));
}

async fn a_place_that_nobody_gave_away_is_given_away_by_the_sweeper(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    for _ in 0..4 {
        harness.insert_in_lane().await;
    }
    assert_eq!(harness.store.fill_lanes(10, &harness.cx()).await.unwrap(), 0);
    // Whoever freed a place died before giving it away.
    harness.execute("update lanes set width = 3").await;
    assert_eq!(harness.store.fill_lanes(10, &harness.cx()).await.unwrap(), 1);
    assert_eq!((harness.lanes().await, harness.messages().await), ((4, 1, 3), 3));
}

async fn a_lane_that_has_miscounted_is_counted_anew(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    for _ in 0..4 {
        harness.insert_in_lane().await;
    }
    harness.execute("update lanes set admitted = 9, pending = 9").await;
    harness.store.review_lanes(10, &harness.cx()).await.unwrap();
    assert_eq!(harness.lanes().await, (4, 2, 2));
    while let Some(claimed) = harness.claim_next().await {
        harness.succeed(claimed).await;
    }
    assert_eq!(harness.lanes().await, (0, 0, 0));
    harness.store.review_lanes(10, &harness.cx()).await.unwrap();
    assert_eq!(harness.number("select count(*) from lanes").await, 0, "empty lanes go");
}

/// A webhook of an owner at a host.
async fn webhook(harness: &Harness, owner: Uuid, url: &str) {
    let new = NewWebhook {
        id: harness.clock.new_id(),
        owner,
        target: Target::parse(url, &Default::default()).unwrap(),
        events: EventType::ALL.to_vec(),
        secret: vec![1; 24],
        // It never comes, so that the lanes have deliveries alone.
        challenge: NewJob {
            run_at: harness.clock.now() + Duration::days(365),
            ..harness.new_job()
        },
    };
    let made = harness.store.insert_webhook(&new, 5, &harness.cx()).await.unwrap();
    let proven = harness
        .store
        .prove_webhook(owner, made.id, &made.url, &harness.cx())
        .await;
    assert!(proven.unwrap());
}

/// Something happens to an owner's todos, so many times.
async fn happen(harness: &Harness, owner: Uuid, times: usize) {
    for _ in 0..times {
        let message = Message::event(&harness.clock, "/todos", "todos.todo.v1", "x", &());
        let delivery = Delivery {
            owner,
            event: EventType::TodoCreated,
            body: "{}".into(),
            per_host: 2,
        };
        let reactions = [(&message, Reaction::Deliver(delivery))];
        harness.store.react("test", &reactions, &harness.cx()).await.unwrap();
        harness.clock.advance(Duration::seconds(1));
    }
}

async fn owners_take_turns_at_one_host(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let [anna, bob] = [harness.owner, harness.clock.new_id()];
    webhook(&harness, anna, "https://hooks.example.com/anna").await;
    webhook(&harness, bob, "https://hooks.example.com/bob").await;
    happen(&harness, anna, 10).await;
    happen(&harness, bob, 2).await;
    assert_eq!(harness.lanes().await, (12, 10, 2));
    let mut owners = Vec::new();
    while let Some(claimed) = harness.claim_of(Queue::Webhooks).await {
        assert_eq!(claimed.1.kind, Kind::Webhook);
        owners.push(claimed.1.owner);
        harness.clock.advance(Duration::seconds(1));
        harness.succeed(claimed).await;
    }
    let of_bob: Vec<usize> = (0..12).filter(|index| owners[*index] == bob).collect();
    // The two that had a place, then one of each in turn.
    assert_eq!((owners.len(), of_bob), (12, vec![3, 5]));
}

async fn a_deleted_user_leaves_room_at_a_shared_host(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let [anna, bob] = [harness.owner, harness.clock.new_id()];
    webhook(&harness, anna, "https://hooks.example.com/anna").await;
    webhook(&harness, bob, "https://hooks.example.com/bob").await;
    happen(&harness, anna, 3).await;
    happen(&harness, bob, 3).await;
    let message = Message::event(&harness.clock, "/users", "users.user.purged.v1", "x", &());
    let reactions = [(&message, Reaction::DeleteAll(anna))];
    harness.store.react("test", &reactions, &harness.cx()).await.unwrap();
    assert_eq!(harness.lanes().await, (3, 3, 0));
    harness.store.fill_lanes(10, &harness.cx()).await.unwrap();
    assert_eq!(harness.lanes().await, (3, 1, 2));
    assert_eq!(harness.claim_of(Queue::Webhooks).await.unwrap().1.owner, bob);
}

async fn a_lane_is_paced(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let lane = Lane::of_host("hooks.example.com", 2);
    harness.insert(harness.new_job().in_lane(lane.clone())).await;
    let gap = Duration::milliseconds(50);
    let now = harness.clock.now();
    for turn in 0..3 {
        let at = harness
            .store
            .pace(Queue::Default, &lane.key, gap, &harness.cx())
            .await
            .unwrap();
        assert_eq!(at, now + gap * turn);
    }
    harness.clock.advance(Duration::HOUR);
    let at = harness
        .store
        .pace(Queue::Default, &lane.key, gap, &harness.cx())
        .await
        .unwrap();
    assert_eq!(at, harness.clock.now());
}

const MAIL_LIMITS: MailLimits = MailLimits {
    per_address: 2,
    per_account: 3,
};

impl Harness {
    /// An empty address is one that is not known yet.
    async fn count_mail(&self, job: Uuid, to: &str, account: Option<Uuid>) -> bool {
        let mail = OutgoingMail {
            job,
            to: Some(to.to_owned()).filter(|to| !to.is_empty()),
            account,
        };
        self.store.count_mail(&mail, MAIL_LIMITS, &self.cx()).await.unwrap()
    }
}

async fn mails_to_an_address_have_a_limit(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let jobs = [(); 4].map(|()| harness.clock.new_id());
    assert!(harness.count_mail(jobs[0], "ann@example.com", None).await);
    harness.clock.advance(Duration::minutes(30));
    assert!(harness.count_mail(jobs[1], "Ann@Example.com", None).await);
    assert!(!harness.count_mail(jobs[2], "ann@example.com", None).await);
    assert!(
        harness.count_mail(jobs[1], "ann@example.com", None).await,
        "another attempt at one"
    );
    assert!(harness.count_mail(jobs[3], "bob@example.com", None).await);
    harness.clock.advance(Duration::minutes(31));
    harness.store.forget_mails(&harness.cx()).await.unwrap();
    assert_eq!(harness.number("select count(*) from sent_mails").await, 2);
    assert!(harness.count_mail(jobs[2], "ann@example.com", None).await);
}

async fn a_mail_counts_for_its_account_before_its_address_is_known(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let account = Some(harness.owner);
    let jobs = [(); 4].map(|()| harness.clock.new_id());
    for job in &jobs[..3] {
        assert!(harness.count_mail(*job, "", account).await);
        assert!(harness.count_mail(*job, "", account).await, "another attempt at one");
    }
    assert!(!harness.count_mail(jobs[3], "", account).await);
    // The address counts by itself then, and once.
    for (job, is_sent) in [(0, true), (1, true), (2, false), (1, true)] {
        let is_allowed = harness.count_mail(jobs[job], "ann@example.com", account).await;
        assert_eq!(is_allowed, is_sent, "{job}");
    }
    assert!(harness.count_mail(jobs[0], "", account).await);
    assert!(!harness.count_mail(jobs[3], "ann@example.com", None).await);
    assert_eq!(harness.number("select count(*) from sent_mails").await, 3);
}

async fn mails_for_an_account_have_a_limit(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let account = Some(harness.owner);
    for number in 0..5 {
        let to = format!("address-{number}@example.com");
        let is_sent = harness.count_mail(harness.clock.new_id(), &to, account).await;
        assert_eq!(is_sent, number < 3, "{number}");
    }
    assert!(
        harness
            .count_mail(harness.clock.new_id(), "other@example.com", None)
            .await
    );
}
