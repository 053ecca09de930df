use quartet_testkit::database::Fresh;
use quartet_users::Error;
use quartet_users::domain::{AvatarUrl, Bio, ProfileEdit};

use super::Fixture;

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
    let fixture = Fixture::new(fresh).await;
    let id = fixture.user("ada").await;
    assert_eq!(fixture.store.find_profile(id, &fixture.cx()).await.unwrap(), None);
    let made_at = fixture.clock.now();
    let made = fixture
        .store
        .write_profile(id, &bio("first\nlines"), &fixture.cx())
        .await
        .unwrap();
    assert_eq!((made.bio.as_deref(), made.avatar_url), (Some("first\nlines"), None));

    fixture.clock.advance(time::Duration::seconds(1));
    let avatar = ProfileEdit {
        avatar_url: Some(Some(AvatarUrl::parse("https://example.org/a.png").unwrap())),
        ..ProfileEdit::default()
    };
    let changed = fixture.store.write_profile(id, &avatar, &fixture.cx()).await.unwrap();
    assert_eq!(
        (changed.bio.as_deref(), changed.avatar_url.as_deref()),
        (Some("first\nlines"), Some("https://example.org/a.png"))
    );
    assert_eq!((changed.created_at, changed.updated_at), (made_at, fixture.clock.now()));
    assert_eq!(
        fixture.store.find_profile(id, &fixture.cx()).await.unwrap(),
        Some(changed)
    );

    let replaced = ProfileEdit {
        avatar_url: Some(None),
        ..bio("second")
    };
    let replaced = fixture.store.write_profile(id, &replaced, &fixture.cx()).await.unwrap();
    assert_eq!((replaced.bio.as_deref(), replaced.avatar_url), (Some("second"), None));
}

async fn a_profile_can_be_deleted_and_made_again(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (ada, bob) = (fixture.user("ada").await, fixture.user("bob").await);
    for id in [ada, bob] {
        fixture
            .store
            .write_profile(id, &bio("old"), &fixture.cx())
            .await
            .unwrap();
    }
    assert!(fixture.store.delete_profile(ada, &fixture.cx()).await.unwrap());
    assert!(!fixture.store.delete_profile(ada, &fixture.cx()).await.unwrap());
    assert_eq!(fixture.store.find_profile(ada, &fixture.cx()).await.unwrap(), None);
    assert!(fixture.store.find_profile(bob, &fixture.cx()).await.unwrap().is_some());
    let again = fixture
        .store
        .write_profile(ada, &ProfileEdit::default(), &fixture.cx())
        .await
        .unwrap();
    assert_eq!(again.bio, None);
}

async fn nobody_and_the_deleted_have_no_profile(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let deleted = fixture.user("ada").await;
    fixture
        .store
        .write_profile(deleted, &bio("here"), &fixture.cx())
        .await
        .unwrap();
    fixture.delete(deleted).await;
    for id in [deleted, fixture.clock.new_id()] {
        let missing =
            |result: Result<(), Error>| matches!(result, Err(Error::UserNotFound { id: missing }) if missing == id);
        assert!(missing(fixture.store.find_profile(id, &fixture.cx()).await.map(drop)));
        let written = fixture.store.write_profile(id, &bio("gone"), &fixture.cx()).await;
        assert!(missing(written.map(drop)));
        assert!(missing(fixture.store.delete_profile(id, &fixture.cx()).await.map(drop)));
    }
    let (_, restoration) = fixture
        .store
        .begin_restore(deleted, &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    restoration.commit().await.unwrap();
    let profile = fixture
        .store
        .find_profile(deleted, &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(profile.bio.as_deref(), Some("here"));
}
