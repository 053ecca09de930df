use std::time::Duration;

use quartet_testkit::database::Fresh;
use quartet_todos::domain::{ChangeKind, Edit, Next, Recorded, Subject, TagName};

use super::Fixture;

quartet_testkit::on_both_databases!(
    every_write_is_recorded_once_and_in_order,
    a_write_that_changes_nothing_tells_nothing,
    writers_at_once_leave_no_gap_and_no_reader_misses_one,
    a_purge_takes_the_content_out_of_the_feed,
    old_changes_are_forgotten_and_their_absence_is_noticed,
    feeds_are_apart,
);

impl Fixture {
    async fn changes_after(&self, position: i64) -> Vec<Recorded> {
        let page = self
            .store
            .read_feed(self.owner, position, 1_000, &self.cx())
            .await
            .unwrap();
        match page.after(position) {
            Next::Changes(changes) => changes,
            Next::CaughtUp => Vec::new(),
            Next::Lost(head) => panic!("lost: the feed is at {head}"),
        }
    }
}

fn complete() -> Edit {
    Edit {
        completed: Some(true),
        ..Edit::default()
    }
}

async fn every_write_is_recorded_once_and_in_order(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (store, owner, now) = (&fixture.store, fixture.owner, fixture.clock.now());
    let batch = [fixture.new_todo("one"), fixture.new_todo("two")];
    let made = store
        .insert_todos(owner, &batch, None, &fixture.cx().at(now))
        .await
        .unwrap();
    let (one, two) = (made[0].id, made[1].id);
    store
        .update_todo(owner, one, &complete(), &fixture.cx().at(now))
        .await
        .unwrap();
    let reopen = Edit {
        completed: Some(false),
        ..Edit::default()
    };
    store
        .update_todo(owner, one, &reopen, &fixture.cx().at(now))
        .await
        .unwrap();
    let tag = fixture.insert_tag(owner, "home").await;
    let tagged = Edit {
        tag_ids: Some(vec![tag]),
        ..complete()
    };
    store
        .update_todo(owner, one, &tagged, &fixture.cx().at(now))
        .await
        .unwrap();
    store
        .delete_todos(owner, &[two, one], &fixture.cx().at(now))
        .await
        .unwrap();
    store
        .restore_todo(owner, one, None, &fixture.cx().at(now))
        .await
        .unwrap();
    let name = TagName::parse("house").unwrap();
    store
        .update_tag(owner, tag, &name, &fixture.cx().at(now))
        .await
        .unwrap();
    store.delete_tag(owner, tag, &fixture.cx().at(now)).await.unwrap();
    store.purge_todo(two, &fixture.cx().at(now)).await.unwrap();

    let changes = fixture.changes_after(0).await;
    let positions: Vec<i64> = changes.iter().map(|change| change.position).collect();
    assert_eq!(positions, (1..=11).collect::<Vec<_>>());
    let mut recorded: Vec<_> = changes
        .iter()
        .map(|recorded| (recorded.change.kind, recorded.change.subject_id))
        .collect();
    // The two deletions of one statement have no order between them.
    recorded[5..7].sort_by_key(|(_, id)| *id);
    use ChangeKind::*;
    assert_eq!(
        recorded,
        [
            (Created, one),
            (Created, two),
            (Completed, one),
            (Reopened, one),
            (Updated, one),
            (Deleted, one),
            (Deleted, two),
            (Restored, one),
            (TagRenamed, tag),
            (TagDeleted, tag),
            (Purged, two),
        ]
    );
    let Subject::Todo(updated) = &changes[4].change.subject else {
        panic!("{:?}", changes[4]);
    };
    assert_eq!(
        (updated.tags[0].name.as_str(), updated.completed_at),
        ("home", Some(now))
    );
    let Subject::Tag(renamed) = &changes[8].change.subject else {
        panic!("{:?}", changes[8]);
    };
    assert_eq!(renamed.name, "house");
    // From the middle on, the rest and nothing twice.
    assert_eq!(fixture.changes_after(8).await, changes[8..]);
    assert_eq!(fixture.changes_after(11).await, []);
}

async fn a_write_that_changes_nothing_tells_nothing(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (store, owner, now) = (&fixture.store, fixture.owner, fixture.clock.now());
    let id = fixture.insert(fixture.new_todo("there")).await;
    let missing = fixture.clock.new_id();
    assert!(
        store
            .delete_todos(owner, &[id, missing], &fixture.cx().at(now))
            .await
            .is_err()
    );
    assert!(
        store
            .update_todo(owner, missing, &complete(), &fixture.cx().at(now))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .restore_todo(owner, id, None, &fixture.cx().at(now))
            .await
            .unwrap()
            .is_none()
    );
    assert!(!store.purge_todo(missing, &fixture.cx().at(now)).await.unwrap());
    assert!(!store.delete_tag(owner, missing, &fixture.cx().at(now)).await.unwrap());
    assert_eq!(fixture.changes_after(0).await.len(), 1);
    // Nor does completing what is complete.
    store
        .update_todo(owner, id, &complete(), &fixture.cx().at(now))
        .await
        .unwrap();
    let later = now + time::Duration::hours(1);
    store
        .update_todo(owner, id, &complete(), &fixture.cx().at(later))
        .await
        .unwrap();
    assert_eq!(fixture.changes_after(0).await.len(), 2);
}

/// Sixteen writers, each committing when it comes to it, and a reader that looks all the while and
/// goes on from what it has seen.
async fn writers_at_once_leave_no_gap_and_no_reader_misses_one(fresh: Fresh) {
    const WRITERS: usize = 16;
    const EACH: usize = 10;
    let fixture = Fixture::new(fresh).await;
    let writers = (0..WRITERS).map(|_| async {
        for _ in 0..EACH {
            let todo = fixture.new_todo("one of many");
            fixture
                .store
                .insert_todos(fixture.owner, &[todo], None, &fixture.cx())
                .await
                .unwrap();
        }
    });
    let reader = async {
        let mut seen: Vec<Recorded> = Vec::new();
        while seen.len() < WRITERS * EACH {
            let position = seen.last().map_or(0, |last| last.position);
            // `changes_after` panics when something between the position and the head is not there.
            seen.extend(fixture.changes_after(position).await);
            tokio::task::yield_now().await;
        }
        seen
    };
    let both = futures::future::join(futures::future::join_all(writers), reader);
    let (_, seen) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    let positions: Vec<i64> = seen.iter().map(|change| change.position).collect();
    assert_eq!(positions, (1..=(WRITERS * EACH) as i64).collect::<Vec<_>>());
}

async fn a_purge_takes_the_content_out_of_the_feed(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (purged, fixture_one) = (
        fixture.insert(fixture.new_todo("secret")).await,
        fixture.insert(fixture.new_todo("open")).await,
    );
    fixture.store.purge_todo(purged, &fixture.cx()).await.unwrap();
    let changes = fixture.changes_after(0).await;
    assert_eq!(changes.len(), 3);
    for recorded in changes {
        let gone = recorded.change.subject == Subject::Gone;
        assert_eq!(gone, recorded.change.subject_id == purged, "{recorded:?}");
        assert!(gone || recorded.change.subject_id == fixture_one);
    }
}

async fn old_changes_are_forgotten_and_their_absence_is_noticed(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    for title in ["one", "two", "three"] {
        fixture.insert(fixture.new_todo(title)).await;
    }
    let before = fixture.clock.now();
    assert_eq!(fixture.store.prune_changes(before, 1, &fixture.cx()).await.unwrap(), 1);
    assert_eq!(
        fixture.store.prune_changes(before, 100, &fixture.cx()).await.unwrap(),
        1
    );
    assert_eq!(
        fixture.store.prune_changes(before, 100, &fixture.cx()).await.unwrap(),
        0
    );

    let read = async |position| {
        fixture
            .store
            .read_feed(fixture.owner, position, 100, &fixture.cx())
            .await
            .unwrap()
            .after(position)
    };
    assert_eq!(read(0).await, Next::Lost(3));
    assert_eq!(read(1).await, Next::Lost(3));
    assert_eq!(fixture.changes_after(2).await.len(), 1);
    assert_eq!(read(3).await, Next::CaughtUp);

    // Numbers go on from where they were, with nothing left to count.
    fixture
        .store
        .prune_changes(before + time::Duration::days(1), 100, &fixture.cx())
        .await
        .unwrap();
    assert_eq!(read(2).await, Next::Lost(3));
    fixture.insert(fixture.new_todo("four")).await;
    assert_eq!(fixture.changes_after(3).await[0].position, 4);
}

async fn feeds_are_apart(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let other = fixture.clock.new_id();
    fixture.insert(fixture.new_todo("mine")).await;
    let theirs = [fixture.new_todo("theirs"), fixture.new_todo("theirs too")];
    fixture
        .store
        .insert_todos(other, &theirs, None, &fixture.cx())
        .await
        .unwrap();
    assert_eq!(fixture.changes_after(0).await.len(), 1);
    let mut heads = fixture
        .store
        .list_heads(&[fixture.owner, other, fixture.clock.new_id()], &fixture.cx())
        .await
        .unwrap();
    heads.sort_by_key(|(_, head)| *head);
    assert_eq!(heads, [(fixture.owner, 1), (other, 2)]);
}

/// The order of commits is what counts: a transaction that began first and commits last must not be
/// passed over.
#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_transaction_that_commits_late_is_not_passed_over() {
    let fresh = quartet_testkit::database::postgres().await;
    let quartet_store::Database::Postgres(database) = fresh.open().await else {
        panic!("a PostgreSQL database");
    };
    let fixture = Fixture::new(fresh).await;
    fixture.insert(fixture.new_todo("first")).await;

    // A write of another instance, that has drawn its number and not committed.
    let mut late = database.write(fixture.cx().deadline).await.unwrap();
    sqlx::query("update feeds set head = head + 1 where user_id = $1")
        .bind(fixture.owner)
        .execute(&mut *late)
        .await
        .unwrap();
    sqlx::query(
        "insert into changes select user_id, 2, kind, subject_id, payload, changed_at from changes where user_id = $1",
    )
    .bind(fixture.owner)
    .execute(&mut *late)
    .await
    .unwrap();

    let mut early = Box::pin(fixture.insert(fixture.new_todo("third")));
    assert!(
        tokio::time::timeout(Duration::from_millis(300), &mut early)
            .await
            .is_err(),
        "it has to wait"
    );
    assert_eq!(fixture.changes_after(0).await.len(), 1);
    late.commit().await.unwrap();
    early.await;
    let positions: Vec<i64> = fixture
        .changes_after(1)
        .await
        .iter()
        .map(|change| change.position)
        .collect();
    assert_eq!(positions, [2, 3]);
}
