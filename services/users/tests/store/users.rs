use std::time::Duration;

use quartet_kernel::{Deadline, DisplayName, Role, Username};
use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;
use quartet_users::Error;
use quartet_users::domain::{Account, ImageUrl, Key, ProfileEdit, UserEdit};
use quartet_users::store::MIGRATIONS;

use super::{Kept, account, soon, tier_name};

quartet_testkit::on_both_databases!(
    ensuring_makes_a_user_once_and_brings_its_copies_up_to_date,
    ensuring_what_is_known_writes_nothing,
    what_is_told_late_of_an_older_account_is_not_copied,
    ensuring_at_once_makes_one_user,
    ensuring_leaves_a_deleted_user_deleted,
    people_who_swap_names_keep_both_their_users,
    a_stale_copy_of_a_name_yields_to_the_newer_one,
    an_edit_writes_its_fields_and_leaves_the_others,
    an_open_change_counts_only_once_it_is_committed,
    a_deleted_user_is_gone_until_restored,
    purging_takes_the_profile_along,
    pages_show_every_user_once_the_newest_first,
    a_tier_is_given_and_taken,
    a_passed_deadline_writes_nothing,
    migrations_go_back_and_forth,
);

async fn what_is_told_late_of_an_older_account_is_not_copied(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let at = |username: &str, id, seconds| Account {
        updated_at: Some(kept.clock.now() + time::Duration::seconds(seconds)),
        ..account(id, username)
    };
    let id = kept.clock.new_id();
    let [first, second, third] = [("one", 1), ("two", 2), ("three", 3)].map(|(name, seconds)| at(name, id, seconds));
    let name = async || kept.find(id).await.unwrap().username;
    kept.tell(&first).await;
    kept.tell(&third).await;
    kept.tell(&second).await;
    assert_eq!(name().await, "three");

    // An edit whose answer of auth was overtaken is no newer.
    let edit = UserEdit {
        username: Some(Username::parse("two").unwrap()),
        name: Some(DisplayName::parse("Somebody").unwrap()),
        account_at: second.updated_at,
        ..UserEdit::default()
    };
    kept.store
        .update_user(id, &edit, kept.clock.now(), soon())
        .await
        .unwrap();
    let user = kept.find(id).await.unwrap();
    assert_eq!((user.name.as_str(), user.username.as_str()), ("Somebody", "three"));
    let edit = UserEdit {
        username: Some(Username::parse("four").unwrap()),
        account_at: third.updated_at.map(|at| at + time::Duration::seconds(1)),
        ..UserEdit::default()
    };
    kept.store
        .update_user(id, &edit, kept.clock.now(), soon())
        .await
        .unwrap();
    kept.tell(&third).await;
    assert_eq!(name().await, "four");
}

async fn ensuring_makes_a_user_once_and_brings_its_copies_up_to_date(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let first = Account {
        name: Some(DisplayName::parse("Ada Ёж").unwrap()),
        ..kept.account("ada")
    };
    assert_eq!(kept.tell(&first).await, None);
    let made = kept.find(first.id).await.unwrap();
    assert_eq!(
        (
            made.name.as_str(),
            made.username.as_str(),
            made.email.as_str(),
            made.role
        ),
        ("Ada Ёж", "ada", "ada@example.org", Role::User)
    );
    assert_eq!((made.created_at, made.updated_at), (kept.clock.now(), kept.clock.now()));

    let later = Account {
        role: Role::Superuser,
        ..account(first.id, "lovelace")
    };
    kept.tell(&later).await;
    let told = kept.find(first.id).await.unwrap();
    assert_eq!(
        (
            told.name.as_str(),
            told.username.as_str(),
            told.email.as_str(),
            told.role
        ),
        ("Ada Ёж", "lovelace", "lovelace@example.org", Role::Superuser)
    );
    assert_eq!((told.created_at, told.updated_at), (made.created_at, kept.clock.now()));
}

async fn ensuring_what_is_known_writes_nothing(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let ada = kept.account("ada");
    kept.tell(&ada).await;
    let before = kept.find(ada.id).await.unwrap();
    // A write would have to wait for this one, in SQLite for the writer and in PostgreSQL for the row.
    let held = kept.store.open_delete(ada.id, kept.clock.now(), soon()).await.unwrap();
    let deadline = Deadline::after(Duration::from_secs(1));
    kept.store.ensure_user(&ada, kept.clock.now(), deadline).await.unwrap();
    drop(held);
    assert_eq!(kept.find(ada.id).await.unwrap(), before);
}

async fn ensuring_at_once_makes_one_user(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let ada = kept.account("ada");
    let now = kept.clock.now();
    let ensure = || kept.store.ensure_user(&ada, now, soon());
    let (one, two, three) = tokio::join!(ensure(), ensure(), ensure());
    assert_eq!((one.unwrap(), two.unwrap(), three.unwrap()), (None, None, None));
    let all = Page {
        size: 10,
        start: Start::Number(1),
    };
    assert_eq!(kept.store.list_users(false, &all, soon()).await.unwrap().total, 1);
}

async fn ensuring_leaves_a_deleted_user_deleted(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let ada = kept.account("ada");
    kept.tell(&ada).await;
    kept.delete(ada.id).await;
    kept.tell(&ada).await;
    kept.tell(&account(ada.id, "lovelace")).await;
    assert_eq!(kept.find(ada.id).await, None);
}

async fn people_who_swap_names_keep_both_their_users(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let (ada, bob) = (kept.user("ada").await, kept.user("bob").await);
    kept.tell(&account(ada, "bob")).await;
    // For a moment both rows hold the name; the one that was told last has it.
    let by_name = async |name: &str| {
        let found = kept.store.find_user_by_username(name, soon()).await.unwrap();
        found.map(|user| user.id)
    };
    assert_eq!((by_name("bob").await, by_name("ada").await), (Some(ada), None));
    kept.tell(&account(bob, "ada")).await;
    assert_eq!((by_name("bob").await, by_name("ada").await), (Some(ada), Some(bob)));
}

async fn a_stale_copy_of_a_name_yields_to_the_newer_one(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let stale = kept.user("ada").await;
    let heir = kept.user("heir").await;
    kept.tell(&account(heir, "ada")).await;
    // Another change of the stale row must not make its old name look new.
    kept.clock.advance(time::Duration::seconds(1));
    let edit = UserEdit {
        name: Some(DisplayName::parse("Somebody").unwrap()),
        ..UserEdit::default()
    };
    kept.store
        .update_user(stale, &edit, kept.clock.now(), soon())
        .await
        .unwrap();
    let mut promoted = account(stale, "ada");
    promoted.role = Role::Superuser;
    kept.tell(&promoted).await;
    let found = kept.store.find_user_by_username("ada", soon()).await.unwrap().unwrap();
    assert_eq!(found.id, heir);
    kept.delete(heir).await;
    let found = kept.store.find_user_by_username("ada", soon()).await.unwrap().unwrap();
    assert_eq!(found.id, stale);
}

async fn an_edit_writes_its_fields_and_leaves_the_others(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.user("ada").await;
    kept.clock.advance(time::Duration::seconds(1));
    let image = UserEdit {
        profile_image_url: Some(Some(ImageUrl::parse("https://example.org/a.png").unwrap())),
        username: Some(Username::parse("lovelace").unwrap()),
        ..UserEdit::default()
    };
    let with_image = kept
        .store
        .update_user(id, &image, kept.clock.now(), soon())
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
    assert_eq!(with_image.updated_at, kept.clock.now());
    assert_eq!(kept.find(id).await, Some(with_image));

    let cleared = UserEdit {
        profile_image_url: Some(None),
        ..UserEdit::default()
    };
    let cleared = kept
        .store
        .update_user(id, &cleared, kept.clock.now(), soon())
        .await
        .unwrap();
    assert_eq!(cleared.unwrap().profile_image_url, None);
    let nobody = kept.clock.new_id();
    assert_eq!(
        kept.store
            .update_user(nobody, &image, kept.clock.now(), soon())
            .await
            .unwrap(),
        None
    );
}

async fn an_open_change_counts_only_once_it_is_committed(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.user("ada").await;
    let now = kept.clock.now();
    drop(kept.store.open_delete(id, now, soon()).await.unwrap().unwrap());
    drop(kept.store.open_purge(id, soon()).await.unwrap().unwrap());
    assert!(kept.find(id).await.is_some());
    kept.delete(id).await;
    assert!(kept.store.open_delete(id, now, soon()).await.unwrap().is_none());
    drop(kept.store.open_restore(id, now, soon()).await.unwrap().unwrap());
    assert!(kept.find(id).await.is_none());
}

async fn a_deleted_user_is_gone_until_restored(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.user("ada").await;
    kept.delete(id).await;
    let now = kept.clock.now();
    let rename = UserEdit {
        name: Some(DisplayName::parse("Ghost").unwrap()),
        ..UserEdit::default()
    };
    assert_eq!(kept.find(id).await, None);
    assert_eq!(kept.store.find_user_by_username("ada", soon()).await.unwrap(), None);
    assert_eq!(kept.store.update_user(id, &rename, now, soon()).await.unwrap(), None);
    assert_eq!(kept.store.set_tier(id, None, now, soon()).await.unwrap(), None);
    let all = Page {
        size: 10,
        start: Start::Number(1),
    };
    assert_eq!(kept.store.list_users(false, &all, soon()).await.unwrap().total, 0);
    let deleted = kept.store.list_users(true, &all, soon()).await.unwrap();
    assert_eq!(
        (deleted.total, deleted.rows[0].id, deleted.rows[0].deleted_at),
        (1, id, Some(now))
    );

    let (user, open) = kept.store.open_restore(id, now, soon()).await.unwrap().unwrap();
    open.commit().await.unwrap();
    assert_eq!(user.deleted_at, None);
    assert_eq!(kept.find(id).await, Some(user));
    assert!(kept.store.open_restore(id, now, soon()).await.unwrap().is_none());
}

async fn purging_takes_the_profile_along(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let ada = kept.account("ada");
    kept.tell(&ada).await;
    let now = kept.clock.now();
    kept.store
        .write_profile(ada.id, &ProfileEdit::default(), now, soon())
        .await
        .unwrap();
    kept.delete(ada.id).await;
    let open = kept.store.open_purge(ada.id, soon()).await.unwrap().unwrap();
    open.commit().await.unwrap();
    assert!(kept.store.open_purge(ada.id, soon()).await.unwrap().is_none());
    kept.tell(&ada).await;
    assert_eq!(kept.store.find_profile(ada.id, soon()).await.unwrap(), None);
}

async fn pages_show_every_user_once_the_newest_first(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let mut ids = Vec::new();
    for number in 0..7 {
        let account = kept.account(&format!("user{number}"));
        // Pairs share their moment, so that ties count.
        if number % 2 == 0 {
            kept.clock.advance(time::Duration::seconds(1));
        }
        kept.store
            .ensure_user(&account, kept.clock.now(), soon())
            .await
            .unwrap();
        ids.push(account.id);
    }
    ids.reverse();

    let mut by_token = Vec::new();
    let mut page = Page {
        size: 3,
        start: Start::Number(1),
    };
    loop {
        let rows = kept.store.list_users(false, &page, soon()).await.unwrap();
        assert_eq!(rows.total, 7);
        by_token.extend(rows.rows.iter().map(|user| user.id));
        if !rows.has_more {
            break;
        }
        let key = Key::of(rows.rows.last().unwrap());
        page.start = Start::After { key, total: rows.total };
    }
    assert_eq!(by_token, ids);

    let second = Page {
        size: 3,
        start: Start::Number(2),
    };
    let second = kept.store.list_users(false, &second, soon()).await.unwrap();
    let second: Vec<_> = second.rows.iter().map(|user| user.id).collect();
    assert_eq!(second, ids[3..6]);
}

async fn a_tier_is_given_and_taken(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let ada = kept.account("ada");
    kept.tell(&ada).await;
    let pro = kept.tier("pro").await;
    let now = kept.clock.now();
    let given = kept.store.set_tier(ada.id, Some(&pro), now, soon()).await.unwrap();
    assert_eq!(given.unwrap().tier.as_deref(), Some("pro"));
    assert_eq!(kept.tell(&ada).await.as_deref(), Some("pro"));
    assert_eq!(kept.tell(&account(ada.id, "lovelace")).await.as_deref(), Some("pro"));
    assert_eq!(
        kept.store.find_user_tier(ada.id, soon()).await.unwrap().unwrap().name,
        "pro"
    );

    let unknown = kept.store.set_tier(ada.id, Some(&tier_name("gold")), now, soon()).await;
    assert!(matches!(unknown, Err(Error::TierNotFound { name }) if name == "gold"));
    assert_eq!(kept.find(ada.id).await.unwrap().tier.as_deref(), Some("pro"));
    let taken = kept.store.set_tier(ada.id, None, now, soon()).await.unwrap();
    assert_eq!(taken.unwrap().tier, None);
    assert_eq!(kept.store.find_user_tier(ada.id, soon()).await.unwrap(), None);
    let nobody = kept.store.find_user_tier(kept.clock.new_id(), soon()).await;
    assert!(matches!(nobody, Err(Error::UserNotFound { .. })));
}

async fn a_passed_deadline_writes_nothing(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let ada = kept.account("ada");
    let passed = Deadline::after(Duration::ZERO);
    assert!(kept.store.ensure_user(&ada, kept.clock.now(), passed).await.is_err());
    assert_eq!(kept.find(ada.id).await, None);
}

async fn migrations_go_back_and_forth(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    kept.user("ada").await;
    while MIGRATIONS.down(&kept.database).await.unwrap().is_some() {}
    let ada = kept.account("ada");
    assert!(kept.store.ensure_user(&ada, kept.clock.now(), soon()).await.is_err());
    MIGRATIONS.up(&kept.database).await.unwrap();
    kept.tell(&ada).await;
    assert!(kept.find(ada.id).await.is_some());
}
