use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;
use quartet_users::Error;
use quartet_users::domain::Tier;

use super::{Kept, soon, tier_name};

quartet_testkit::on_both_databases!(
    a_name_is_given_to_one_tier_alone,
    a_renamed_tier_keeps_its_users,
    deleting_a_tier_leaves_its_users_without_one,
    tiers_page_by_name,
);

async fn a_name_is_given_to_one_tier_alone(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let free = kept.tier("free").await;
    let first = kept.store.find_tier(&free, soon()).await.unwrap().unwrap();
    let again = Tier {
        id: kept.clock.new_id(),
        ..first.clone()
    };
    assert!(!kept.store.insert_tier(&again, soon()).await.unwrap());
    assert_eq!(kept.store.find_tier(&free, soon()).await.unwrap(), Some(first));

    let pro = kept.tier("pro").await;
    let taken = kept.store.rename_tier(&pro, &free, kept.clock.now(), soon()).await;
    assert!(matches!(taken, Err(Error::TierNameTaken { name }) if name == "free"));
    assert!(kept.store.find_tier(&pro, soon()).await.unwrap().is_some());
}

async fn a_renamed_tier_keeps_its_users(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.user("ada").await;
    let (old, new) = (kept.tier("old").await, tier_name("new"));
    kept.store
        .set_tier(id, Some(&old), kept.clock.now(), soon())
        .await
        .unwrap();
    kept.clock.advance(time::Duration::seconds(1));
    let renamed = kept
        .store
        .rename_tier(&old, &new, kept.clock.now(), soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((renamed.name.as_str(), renamed.updated_at), ("new", kept.clock.now()));
    assert_eq!(kept.find(id).await.unwrap().tier.as_deref(), Some("new"));
    let gone = kept.store.rename_tier(&old, &new, kept.clock.now(), soon()).await;
    assert_eq!(gone.unwrap(), None);
}

async fn deleting_a_tier_leaves_its_users_without_one(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.user("ada").await;
    let pro = kept.tier("pro").await;
    kept.store
        .set_tier(id, Some(&pro), kept.clock.now(), soon())
        .await
        .unwrap();
    assert!(kept.store.delete_tier(&pro, soon()).await.unwrap());
    assert!(!kept.store.delete_tier(&pro, soon()).await.unwrap());
    assert_eq!(kept.store.find_tier(&pro, soon()).await.unwrap(), None);
    assert_eq!(kept.find(id).await.unwrap().tier, None);
}

async fn tiers_page_by_name(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    // An order by locale would put the hyphen elsewhere.
    for name in ["b", "a-b", "ab", "a_b", "a"] {
        kept.tier(name).await;
    }
    let mut names = Vec::new();
    let mut page = Page {
        size: 2,
        start: Start::Number(1),
    };
    loop {
        let rows = kept.store.list_tiers(&page, soon()).await.unwrap();
        assert_eq!(rows.total, 5);
        names.extend(rows.rows.iter().map(|tier| tier.name.clone()));
        if !rows.has_more {
            break;
        }
        let key = rows.rows.last().unwrap().name.clone();
        page.start = Start::After { key, total: rows.total };
    }
    assert_eq!(names, ["a", "a-b", "a_b", "ab", "b"]);
    let third = Page {
        size: 2,
        start: Start::Number(3),
    };
    let third = kept.store.list_tiers(&third, soon()).await.unwrap();
    assert_eq!((third.rows.len(), third.rows[0].name.as_str()), (1, "b"));
}
