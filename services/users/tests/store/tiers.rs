use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;
use quartet_users::Error;
use quartet_users::domain::Tier;

use super::{Fixture, tier_name};

quartet_testkit::on_both_databases!(
    a_name_is_given_to_one_tier_alone,
    a_renamed_tier_keeps_its_users,
    deleting_a_tier_leaves_its_users_without_one,
    tiers_page_by_name,
);

async fn a_name_is_given_to_one_tier_alone(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let free = fixture.tier("free").await;
    let first = fixture.store.find_tier(&free, &fixture.cx()).await.unwrap().unwrap();
    let again = Tier {
        id: fixture.clock.new_id(),
        ..first.clone()
    };
    assert!(!fixture.store.insert_tier(&again, &fixture.cx()).await.unwrap());
    assert_eq!(
        fixture.store.find_tier(&free, &fixture.cx()).await.unwrap(),
        Some(first)
    );

    let pro = fixture.tier("pro").await;
    let taken = fixture.store.rename_tier(&pro, &free, &fixture.cx()).await;
    assert!(matches!(taken, Err(Error::TierNameTaken { name }) if name == "free"));
    assert!(fixture.store.find_tier(&pro, &fixture.cx()).await.unwrap().is_some());
}

async fn a_renamed_tier_keeps_its_users(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.user("ada").await;
    let (old, new) = (fixture.tier("old").await, tier_name("new"));
    fixture.store.set_tier(id, Some(&old), &fixture.cx()).await.unwrap();
    fixture.clock.advance(time::Duration::seconds(1));
    let renamed = fixture
        .store
        .rename_tier(&old, &new, &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (renamed.name.as_str(), renamed.updated_at),
        ("new", fixture.clock.now())
    );
    assert_eq!(fixture.find(id).await.unwrap().tier.as_deref(), Some("new"));
    let gone = fixture.store.rename_tier(&old, &new, &fixture.cx()).await;
    assert_eq!(gone.unwrap(), None);
}

async fn deleting_a_tier_leaves_its_users_without_one(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.user("ada").await;
    let pro = fixture.tier("pro").await;
    fixture.store.set_tier(id, Some(&pro), &fixture.cx()).await.unwrap();
    assert!(fixture.store.delete_tier(&pro, &fixture.cx()).await.unwrap());
    assert!(!fixture.store.delete_tier(&pro, &fixture.cx()).await.unwrap());
    assert_eq!(fixture.store.find_tier(&pro, &fixture.cx()).await.unwrap(), None);
    assert_eq!(fixture.find(id).await.unwrap().tier, None);
}

async fn tiers_page_by_name(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    // An order by locale would put the hyphen elsewhere.
    for name in ["b", "a-b", "ab", "a_b", "a"] {
        fixture.tier(name).await;
    }
    let mut names = Vec::new();
    let mut page = Page {
        size: 2,
        start: Start::Number(1),
    };
    loop {
        let rows = fixture.store.list_tiers(&page, &fixture.cx()).await.unwrap();
        assert_eq!(rows.total, 5);
        names.extend(rows.rows.iter().map(|tier| tier.name.clone()));
        if !rows.has_more {
            break;
        }
        let key = rows.rows.last().unwrap().name.clone();
        page.start = Start::After {
            key,
            total: rows.total,
            total_is_exact: rows.total_is_exact,
        };
    }
    assert_eq!(names, ["a", "a-b", "a_b", "ab", "b"]);
    let third = Page {
        size: 2,
        start: Start::Number(3),
    };
    let third = fixture.store.list_tiers(&third, &fixture.cx()).await.unwrap();
    assert_eq!((third.rows.len(), third.rows[0].name.as_str()), (1, "b"));
}
