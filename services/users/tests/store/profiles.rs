use quartet_testkit::database::Fresh;
use quartet_users::Error;
use quartet_users::domain::{AvatarUrl, Bio, ProfileEdit};

use super::{Kept, soon};

quartet_testkit::on_both_databases!(
    a_profile_is_made_by_its_first_edit_and_changed_by_the_next,
    a_profile_can_be_deleted_and_made_again,
    nobody_and_the_deleted_have_no_profile,
);

fn bio(text: &str) -> ProfileEdit {
    ProfileEdit {
        bio: Some(Some(Bio::parse(text).unwrap())),
        ..ProfileEdit::default()
    }
}

async fn a_profile_is_made_by_its_first_edit_and_changed_by_the_next(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.user("ada").await;
    assert_eq!(kept.store.find_profile(id, soon()).await.unwrap(), None);
    let made_at = kept.clock.now();
    let made = kept
        .store
        .write_profile(id, &bio("first\nlines"), made_at, soon())
        .await
        .unwrap();
    assert_eq!((made.bio.as_deref(), made.avatar_url), (Some("first\nlines"), None));

    kept.clock.advance(time::Duration::seconds(1));
    let avatar = ProfileEdit {
        avatar_url: Some(Some(AvatarUrl::parse("https://example.org/a.png").unwrap())),
        ..ProfileEdit::default()
    };
    let changed = kept
        .store
        .write_profile(id, &avatar, kept.clock.now(), soon())
        .await
        .unwrap();
    assert_eq!(
        (changed.bio.as_deref(), changed.avatar_url.as_deref()),
        (Some("first\nlines"), Some("https://example.org/a.png"))
    );
    assert_eq!((changed.created_at, changed.updated_at), (made_at, kept.clock.now()));
    assert_eq!(kept.store.find_profile(id, soon()).await.unwrap(), Some(changed));

    let replaced = ProfileEdit {
        avatar_url: Some(None),
        ..bio("second")
    };
    let replaced = kept
        .store
        .write_profile(id, &replaced, kept.clock.now(), soon())
        .await
        .unwrap();
    assert_eq!((replaced.bio.as_deref(), replaced.avatar_url), (Some("second"), None));
}

async fn a_profile_can_be_deleted_and_made_again(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let (ada, bob) = (kept.user("ada").await, kept.user("bob").await);
    let now = kept.clock.now();
    for id in [ada, bob] {
        kept.store.write_profile(id, &bio("old"), now, soon()).await.unwrap();
    }
    assert!(kept.store.delete_profile(ada, soon()).await.unwrap());
    assert!(!kept.store.delete_profile(ada, soon()).await.unwrap());
    assert_eq!(kept.store.find_profile(ada, soon()).await.unwrap(), None);
    assert!(kept.store.find_profile(bob, soon()).await.unwrap().is_some());
    let again = kept
        .store
        .write_profile(ada, &ProfileEdit::default(), now, soon())
        .await
        .unwrap();
    assert_eq!(again.bio, None);
}

async fn nobody_and_the_deleted_have_no_profile(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let deleted = kept.user("ada").await;
    let now = kept.clock.now();
    kept.store
        .write_profile(deleted, &bio("here"), now, soon())
        .await
        .unwrap();
    kept.delete(deleted).await;
    for id in [deleted, kept.clock.new_id()] {
        let missing = |result: Result<(), Error>| matches!(result, Err(Error::UserNotFound { id: told }) if told == id);
        assert!(missing(kept.store.find_profile(id, soon()).await.map(drop)));
        let written = kept.store.write_profile(id, &bio("gone"), now, soon()).await;
        assert!(missing(written.map(drop)));
        assert!(missing(kept.store.delete_profile(id, soon()).await.map(drop)));
    }
    let (_, open) = kept.store.open_restore(deleted, now, soon()).await.unwrap().unwrap();
    open.commit().await.unwrap();
    let profile = kept.store.find_profile(deleted, soon()).await.unwrap().unwrap();
    assert_eq!(profile.bio.as_deref(), Some("here"));
}
