use std::time::Duration;

use quartet_kernel::{Deadline, DisplayName, Role, Username};
use quartet_store::Context;
use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;
use quartet_users::Error;
use quartet_users::domain::{Account, ImageUrl, Key, ProfileEdit, UserEdit, UserFilter};
use quartet_users::store::MIGRATIONS;

use super::{Fixture, account, tier_name};

quartet_testkit::on_both_databases!(
    ensuring_makes_a_user_once_and_brings_its_copies_up_to_date,
    ensuring_what_is_known_writes_nothing,
    a_late_copy_of_an_older_account_is_not_taken,
    ensuring_at_once_makes_one_user,
    ensuring_leaves_a_deleted_user_deleted,
    people_who_swap_names_keep_both_their_users,
    a_stale_copy_of_a_name_yields_to_the_newer_one,
    an_edit_writes_its_fields_and_leaves_the_others,
    a_pending_change_counts_only_once_it_is_committed,
    a_deleted_user_is_gone_until_restored,
    purging_deletes_the_profile_too,
    pages_show_every_user_once_the_newest_first,
    a_filter_finds_parts_of_names_and_addresses,
    a_tier_is_given_and_taken,
    a_passed_deadline_writes_nothing,
    migrations_go_back_and_forth,
);

async fn a_late_copy_of_an_older_account_is_not_taken(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let at = |username: &str, id, seconds| Account {
        updated_at: Some(fixture.clock.now() + time::Duration::seconds(seconds)),
        ..account(id, username)
    };
    let id = fixture.clock.new_id();
    let [first, second, third] = [("one", 1), ("two", 2), ("three", 3)].map(|(name, seconds)| at(name, id, seconds));
    let name = async || fixture.find(id).await.unwrap().username;
    fixture.ensure(&first).await;
    fixture.ensure(&third).await;
    fixture.ensure(&second).await;
    assert_eq!(name().await, "three");

    // An edit whose answer of auth was overtaken is no newer.
    let edit = UserEdit {
        username: Some(Username::parse("two").unwrap()),
        name: Some(DisplayName::parse("Somebody").unwrap()),
        account_at: second.updated_at,
        ..UserEdit::default()
    };
    fixture.store.update_user(id, &edit, &fixture.cx()).await.unwrap();
    let user = fixture.find(id).await.unwrap();
    assert_eq!((user.name.as_str(), user.username.as_str()), ("Somebody", "three"));
    let edit = UserEdit {
        username: Some(Username::parse("four").unwrap()),
        account_at: third.updated_at.map(|at| at + time::Duration::seconds(1)),
        ..UserEdit::default()
    };
    fixture.store.update_user(id, &edit, &fixture.cx()).await.unwrap();
    fixture.ensure(&third).await;
    assert_eq!(name().await, "four");
}

async fn ensuring_makes_a_user_once_and_brings_its_copies_up_to_date(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let first = Account {
        name: Some(DisplayName::parse("Ada Ёж").unwrap()),
        ..fixture.account("ada")
    };
    assert_eq!(fixture.ensure(&first).await, None);
    let made = fixture.find(first.id).await.unwrap();
    assert_eq!(
        (
            made.name.as_str(),
            made.username.as_str(),
            made.email.as_str(),
            made.role
        ),
        ("Ada Ёж", "ada", "ada@example.org", Role::User)
    );
    assert_eq!(
        (made.created_at, made.updated_at),
        (fixture.clock.now(), fixture.clock.now())
    );

    let later = Account {
        role: Role::Superuser,
        ..account(first.id, "lovelace")
    };
    fixture.ensure(&later).await;
    let updated = fixture.find(first.id).await.unwrap();
    assert_eq!(
        (
            updated.name.as_str(),
            updated.username.as_str(),
            updated.email.as_str(),
            updated.role
        ),
        ("Ada Ёж", "lovelace", "lovelace@example.org", Role::Superuser)
    );
    assert_eq!(
        (updated.created_at, updated.updated_at),
        (made.created_at, fixture.clock.now())
    );
}

async fn ensuring_what_is_known_writes_nothing(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let ada = fixture.account("ada");
    fixture.ensure(&ada).await;
    let before = fixture.find(ada.id).await.unwrap();
    // A write would have to wait for this one, in SQLite for the writer and in PostgreSQL for the
    // row.
    let held = fixture.store.begin_delete(ada.id, &fixture.cx()).await.unwrap();
    let cx = Context {
        deadline: Deadline::after(Duration::from_secs(1)),
        ..fixture.cx()
    };
    fixture.store.ensure_user(&ada, &cx).await.unwrap();
    drop(held);
    assert_eq!(fixture.find(ada.id).await.unwrap(), before);
}

async fn ensuring_at_once_makes_one_user(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let ada = fixture.account("ada");
    let cx = fixture.cx();
    let ensure = || fixture.store.ensure_user(&ada, &cx);
    let (one, two, three) = tokio::join!(ensure(), ensure(), ensure());
    assert_eq!((one.unwrap(), two.unwrap(), three.unwrap()), (None, None, None));
    let all = Page {
        size: 10,
        start: Start::Number(1),
    };
    assert_eq!(
        fixture
            .store
            .list_users(&UserFilter::default(), &all, &fixture.cx())
            .await
            .unwrap()
            .total,
        1
    );
}

async fn ensuring_leaves_a_deleted_user_deleted(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let ada = fixture.account("ada");
    fixture.ensure(&ada).await;
    fixture.delete(ada.id).await;
    fixture.ensure(&ada).await;
    fixture.ensure(&account(ada.id, "lovelace")).await;
    assert_eq!(fixture.find(ada.id).await, None);
}

async fn people_who_swap_names_keep_both_their_users(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (ada, bob) = (fixture.user("ada").await, fixture.user("bob").await);
    fixture.ensure(&account(ada, "bob")).await;
    // For a while both rows hold the name; the one that was copied last has it.
    let by_name = async |name: &str| {
        let found = fixture.store.find_user_by_username(name, &fixture.cx()).await.unwrap();
        found.map(|user| user.id)
    };
    assert_eq!((by_name("bob").await, by_name("ada").await), (Some(ada), None));
    fixture.ensure(&account(bob, "ada")).await;
    assert_eq!((by_name("bob").await, by_name("ada").await), (Some(ada), Some(bob)));
}

async fn a_stale_copy_of_a_name_yields_to_the_newer_one(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let stale = fixture.user("ada").await;
    let heir = fixture.user("heir").await;
    fixture.ensure(&account(heir, "ada")).await;
    // Another change of the stale row must not make its old name look new.
    fixture.clock.advance(time::Duration::seconds(1));
    let edit = UserEdit {
        name: Some(DisplayName::parse("Somebody").unwrap()),
        ..UserEdit::default()
    };
    fixture.store.update_user(stale, &edit, &fixture.cx()).await.unwrap();
    let mut promoted = account(stale, "ada");
    promoted.role = Role::Superuser;
    fixture.ensure(&promoted).await;
    let found = fixture
        .store
        .find_user_by_username("ada", &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.id, heir);
    fixture.delete(heir).await;
    let found = fixture
        .store
        .find_user_by_username("ada", &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.id, stale);
}

async fn an_edit_writes_its_fields_and_leaves_the_others(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.user("ada").await;
    fixture.clock.advance(time::Duration::seconds(1));
    let image = UserEdit {
        profile_image_url: Some(Some(ImageUrl::parse("https://example.org/a.png").unwrap())),
        username: Some(Username::parse("lovelace").unwrap()),
        ..UserEdit::default()
    };
    let with_image = fixture
        .store
        .update_user(id, &image, &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            with_image.name.as_str(),
            with_image.username.as_str(),
            with_image.email.as_str()
        ),
        ("ada", "lovelace", "ada@example.org")
    );
    assert_eq!(
        with_image.profile_image_url.as_deref(),
        Some("https://example.org/a.png")
    );
    assert_eq!(with_image.updated_at, fixture.clock.now());
    assert_eq!(fixture.find(id).await, Some(with_image));

    let cleared = UserEdit {
        profile_image_url: Some(None),
        ..UserEdit::default()
    };
    let cleared = fixture.store.update_user(id, &cleared, &fixture.cx()).await.unwrap();
    assert_eq!(cleared.unwrap().profile_image_url, None);
    let nobody = fixture.clock.new_id();
    assert_eq!(
        fixture.store.update_user(nobody, &image, &fixture.cx()).await.unwrap(),
        None
    );
}

async fn a_pending_change_counts_only_once_it_is_committed(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.user("ada").await;
    drop(fixture.store.begin_delete(id, &fixture.cx()).await.unwrap().unwrap());
    drop(fixture.store.begin_purge(id, &fixture.cx()).await.unwrap().unwrap());
    assert!(fixture.find(id).await.is_some());
    fixture.delete(id).await;
    assert!(fixture.store.begin_delete(id, &fixture.cx()).await.unwrap().is_none());
    drop(fixture.store.begin_restore(id, &fixture.cx()).await.unwrap().unwrap());
    assert!(fixture.find(id).await.is_none());
}

async fn a_deleted_user_is_gone_until_restored(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.user("ada").await;
    fixture.delete(id).await;
    let now = fixture.clock.now();
    let rename = UserEdit {
        name: Some(DisplayName::parse("Ghost").unwrap()),
        ..UserEdit::default()
    };
    assert_eq!(fixture.find(id).await, None);
    assert_eq!(
        fixture.store.find_user_by_username("ada", &fixture.cx()).await.unwrap(),
        None
    );
    assert_eq!(
        fixture.store.update_user(id, &rename, &fixture.cx()).await.unwrap(),
        None
    );
    assert_eq!(fixture.store.set_tier(id, None, &fixture.cx()).await.unwrap(), None);
    let all = Page {
        size: 10,
        start: Start::Number(1),
    };
    assert_eq!(
        fixture
            .store
            .list_users(&UserFilter::default(), &all, &fixture.cx())
            .await
            .unwrap()
            .total,
        0
    );
    let filter = UserFilter {
        deleted: true,
        ..UserFilter::default()
    };
    let deleted = fixture.store.list_users(&filter, &all, &fixture.cx()).await.unwrap();
    assert_eq!(
        (deleted.total, deleted.rows[0].id, deleted.rows[0].deleted_at),
        (1, id, Some(now))
    );

    let (user, restoration) = fixture.store.begin_restore(id, &fixture.cx()).await.unwrap().unwrap();
    restoration.commit().await.unwrap();
    assert_eq!(user.deleted_at, None);
    assert_eq!(fixture.find(id).await, Some(user));
    assert!(fixture.store.begin_restore(id, &fixture.cx()).await.unwrap().is_none());
}

async fn purging_deletes_the_profile_too(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let ada = fixture.account("ada");
    fixture.ensure(&ada).await;
    fixture
        .store
        .write_profile(ada.id, &ProfileEdit::default(), &fixture.cx())
        .await
        .unwrap();
    fixture.delete(ada.id).await;
    let purge = fixture.store.begin_purge(ada.id, &fixture.cx()).await.unwrap().unwrap();
    purge.commit().await.unwrap();
    assert!(
        fixture
            .store
            .begin_purge(ada.id, &fixture.cx())
            .await
            .unwrap()
            .is_none()
    );
    fixture.ensure(&ada).await;
    assert_eq!(fixture.store.find_profile(ada.id, &fixture.cx()).await.unwrap(), None);
}

async fn pages_show_every_user_once_the_newest_first(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let mut ids = Vec::new();
    for number in 0..7 {
        let account = fixture.account(&format!("user{number}"));
        // Pairs share their time, so that ties count.
        if number % 2 == 0 {
            fixture.clock.advance(time::Duration::seconds(1));
        }
        fixture.store.ensure_user(&account, &fixture.cx()).await.unwrap();
        ids.push(account.id);
    }
    ids.reverse();

    let mut by_token = Vec::new();
    let mut page = Page {
        size: 3,
        start: Start::Number(1),
    };
    loop {
        let rows = fixture
            .store
            .list_users(&UserFilter::default(), &page, &fixture.cx())
            .await
            .unwrap();
        assert_eq!(rows.total, 7);
        by_token.extend(rows.rows.iter().map(|user| user.id));
        if !rows.has_more {
            break;
        }
        let key = Key::of(rows.rows.last().unwrap());
        page.start = Start::After {
            key,
            total: rows.total,
            total_is_exact: rows.total_is_exact,
        };
    }
    assert_eq!(by_token, ids);

    let second = Page {
        size: 3,
        start: Start::Number(2),
    };
    let second = fixture
        .store
        .list_users(&UserFilter::default(), &second, &fixture.cx())
        .await
        .unwrap();
    let second: Vec<_> = second.rows.iter().map(|user| user.id).collect();
    assert_eq!(second, ids[3..6]);
}

async fn a_filter_finds_parts_of_names_and_addresses(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    for username in ["adalovelace", "alanturing", "gracehopper"] {
        fixture.ensure(&account(fixture.clock.new_id(), username)).await;
    }
    let found = async |name: &str, email: &str| {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let filter = UserFilter {
            name: text(name),
            email: text(email),
            ..UserFilter::default()
        };
        let page = Page {
            size: 2,
            start: Start::Number(1),
        };
        let rows = fixture.store.list_users(&filter, &page, &fixture.cx()).await.unwrap();
        assert_eq!(rows.has_more, rows.total > 2);
        let mut names: Vec<_> = rows.rows.into_iter().map(|user| user.username).collect();
        names.sort();
        (rows.total, names.join(" "))
    };
    assert_eq!(found("LOVE", "").await, (1, "adalovelace".into()));
    assert_eq!(found("", "Turing@").await, (1, "alanturing".into()));
    assert_eq!(found("a", "hopper").await, (1, "gracehopper".into()));
    assert_eq!(found("a", "").await.0, 3);
    assert_eq!(found("a%g", "").await.0, 0);
    assert_eq!(found("", "_").await.0, 0);
}

async fn a_tier_is_given_and_taken(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let ada = fixture.account("ada");
    fixture.ensure(&ada).await;
    let pro = fixture.tier("pro").await;
    let given = fixture.store.set_tier(ada.id, Some(&pro), &fixture.cx()).await.unwrap();
    assert_eq!(given.unwrap().tier.as_deref(), Some("pro"));
    assert_eq!(fixture.ensure(&ada).await.as_deref(), Some("pro"));
    assert_eq!(
        fixture.ensure(&account(ada.id, "lovelace")).await.as_deref(),
        Some("pro")
    );
    assert_eq!(
        fixture
            .store
            .find_user_tier(ada.id, &fixture.cx())
            .await
            .unwrap()
            .unwrap()
            .name,
        "pro"
    );

    let unknown = fixture
        .store
        .set_tier(ada.id, Some(&tier_name("gold")), &fixture.cx())
        .await;
    assert!(matches!(unknown, Err(Error::TierNotFound { name }) if name == "gold"));
    assert_eq!(fixture.find(ada.id).await.unwrap().tier.as_deref(), Some("pro"));
    let taken = fixture.store.set_tier(ada.id, None, &fixture.cx()).await.unwrap();
    assert_eq!(taken.unwrap().tier, None);
    assert_eq!(fixture.store.find_user_tier(ada.id, &fixture.cx()).await.unwrap(), None);
    let nobody = fixture
        .store
        .find_user_tier(fixture.clock.new_id(), &fixture.cx())
        .await;
    assert!(matches!(nobody, Err(Error::UserNotFound { .. })));
}

async fn a_passed_deadline_writes_nothing(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let ada = fixture.account("ada");
    let passed = Context {
        deadline: Deadline::after(Duration::ZERO),
        ..fixture.cx()
    };
    assert!(fixture.store.ensure_user(&ada, &passed).await.is_err());
    assert_eq!(fixture.find(ada.id).await, None);
}

async fn migrations_go_back_and_forth(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    fixture.user("ada").await;
    while MIGRATIONS.down(&fixture.database).await.unwrap().is_some() {}
    let ada = fixture.account("ada");
    assert!(fixture.store.ensure_user(&ada, &fixture.cx()).await.is_err());
    MIGRATIONS.up(&fixture.database).await.unwrap();
    fixture.ensure(&ada).await;
    assert!(fixture.find(ada.id).await.is_some());
}
