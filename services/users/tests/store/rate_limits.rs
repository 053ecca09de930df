use quartet_testkit::database::Fresh;
use quartet_users::Error;
use quartet_users::domain::{Amount, LimitName, LimitPath, NewRateLimit, Period, RateLimitEdit};
use uuid::Uuid;

use super::{Kept, soon, tier_name};

quartet_testkit::on_both_databases!(
    a_rate_limit_is_read_back_as_it_was_written,
    paths_and_names_are_unique_within_a_tier,
    an_edit_writes_its_fields_and_leaves_the_others,
    limits_belong_to_their_tier,
    a_user_has_the_limits_of_their_tier,
    deleting_a_tier_deletes_its_limits,
);

impl Kept {
    fn limit(&self, name: &str, path: &str) -> NewRateLimit {
        NewRateLimit {
            id: self.clock.new_id(),
            name: LimitName::parse(name).unwrap(),
            path: LimitPath::parse(path).unwrap(),
            amount: Amount::parse(10).unwrap(),
            period: Period::parse(60).unwrap(),
        }
    }

    async fn insert(&self, tier: &str, name: &str, path: &str) -> Result<Uuid, Error> {
        let new = self.limit(name, path);
        self.store
            .insert_rate_limit(&tier_name(tier), &new, self.clock.now(), soon())
            .await?;
        Ok(new.id)
    }
}

async fn a_rate_limit_is_read_back_as_it_was_written(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let free = kept.tier("free").await;
    let new = kept.limit("Reading todos", "/api/v1/todos/{todo_id}");
    let made = kept
        .store
        .insert_rate_limit(&free, &new, kept.clock.now(), soon())
        .await
        .unwrap();
    let found = kept.store.find_rate_limit(&free, new.id, soon()).await.unwrap();
    assert_eq!(found, Some(made.clone()));
    assert_eq!(
        (made.tier_name.as_str(), made.name.as_str(), made.amount, made.period),
        ("free", "Reading todos", 10, 60)
    );
}

async fn paths_and_names_are_unique_within_a_tier(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    kept.tier("free").await;
    kept.tier("pro").await;
    kept.insert("free", "todos", "/todos").await.unwrap();
    let second = kept.insert("free", "tags", "/tags").await.unwrap();
    kept.insert("pro", "todos", "/todos").await.unwrap();

    let path = kept.insert("free", "other", "/todos").await;
    assert!(matches!(path, Err(Error::RateLimitExists { path }) if path == "/todos"));
    let name = kept.insert("free", "todos", "/other").await;
    assert!(matches!(name, Err(Error::RateLimitNameTaken { name }) if name == "todos"));

    let update = async |edit: RateLimitEdit| {
        kept.store
            .update_rate_limit(&tier_name("free"), second, &edit, kept.clock.now(), soon())
            .await
    };
    let path = RateLimitEdit {
        path: Some(LimitPath::parse("/todos").unwrap()),
        ..RateLimitEdit::default()
    };
    assert!(matches!(update(path).await, Err(Error::RateLimitExists { .. })));
    let name = RateLimitEdit {
        name: Some(LimitName::parse("todos").unwrap()),
        ..RateLimitEdit::default()
    };
    assert!(matches!(update(name).await, Err(Error::RateLimitNameTaken { .. })));
    let own = RateLimitEdit {
        path: Some(LimitPath::parse("/tags").unwrap()),
        ..RateLimitEdit::default()
    };
    assert!(update(own).await.unwrap().is_some());
}

async fn an_edit_writes_its_fields_and_leaves_the_others(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let free = kept.tier("free").await;
    let id = kept.insert("free", "todos", "/todos").await.unwrap();
    kept.clock.advance(time::Duration::seconds(1));
    let edit = RateLimitEdit {
        amount: Some(Amount::parse(99).unwrap()),
        ..RateLimitEdit::default()
    };
    let edited = kept
        .store
        .update_rate_limit(&free, id, &edit, kept.clock.now(), soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (edited.name.as_str(), edited.path.as_str(), edited.amount, edited.period),
        ("todos", "/todos", 99, 60)
    );
    assert_eq!(edited.updated_at, kept.clock.now());
    let found = kept.store.find_rate_limit(&free, id, soon()).await.unwrap();
    assert_eq!(found, Some(edited));
}

async fn limits_belong_to_their_tier(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let (free, pro, none) = (kept.tier("free").await, kept.tier("pro").await, tier_name("none"));
    let id = kept.insert("free", "todos", "/todos").await.unwrap();
    let edit = RateLimitEdit {
        amount: Some(Amount::parse(99).unwrap()),
        ..RateLimitEdit::default()
    };
    let now = kept.clock.now();
    assert_eq!(kept.store.find_rate_limit(&pro, id, soon()).await.unwrap(), None);
    let elsewhere = kept.store.update_rate_limit(&pro, id, &edit, now, soon()).await;
    assert_eq!(elsewhere.unwrap(), None);
    assert!(!kept.store.delete_rate_limit(&pro, id, soon()).await.unwrap());
    assert!(kept.store.list_rate_limits(&pro, soon()).await.unwrap().is_empty());

    let no_tier = |result: Result<(), Error>| matches!(result, Err(Error::TierNotFound { name }) if name == "none");
    assert!(no_tier(kept.store.find_rate_limit(&none, id, soon()).await.map(drop)));
    let update = kept.store.update_rate_limit(&none, id, &edit, now, soon()).await;
    assert!(no_tier(update.map(drop)));
    assert!(no_tier(kept.store.delete_rate_limit(&none, id, soon()).await.map(drop)));
    assert!(no_tier(kept.store.list_rate_limits(&none, soon()).await.map(drop)));
    assert!(no_tier(kept.insert("none", "todos", "/todos").await.map(drop)));

    assert!(kept.store.delete_rate_limit(&free, id, soon()).await.unwrap());
    assert!(!kept.store.delete_rate_limit(&free, id, soon()).await.unwrap());
}

async fn a_user_has_the_limits_of_their_tier(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let (id, now) = (kept.user("ada").await, kept.clock.now());
    let pro = kept.tier("pro").await;
    kept.tier("free").await;
    kept.insert("pro", "todos", "/todos").await.unwrap();
    kept.insert("pro", "tags", "/tags").await.unwrap();
    kept.insert("free", "users", "/users").await.unwrap();
    assert!(kept.store.list_user_rate_limits(id, soon()).await.unwrap().is_empty());
    kept.store.set_tier(id, Some(&pro), now, soon()).await.unwrap();
    let limits = kept.store.list_user_rate_limits(id, soon()).await.unwrap();
    let paths: Vec<_> = limits.iter().map(|limit| limit.path.as_str()).collect();
    assert_eq!(paths, ["/tags", "/todos"]);
    assert_eq!(kept.store.list_rate_limits(&pro, soon()).await.unwrap(), limits);
    kept.delete(id).await;
    let gone = kept.store.list_user_rate_limits(id, soon()).await;
    assert!(matches!(gone, Err(Error::UserNotFound { .. })));
}

async fn deleting_a_tier_deletes_its_limits(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let free = kept.tier("free").await;
    kept.insert("free", "todos", "/todos").await.unwrap();
    assert!(kept.store.delete_tier(&free, soon()).await.unwrap());
    kept.tier("free").await;
    assert!(kept.store.list_rate_limits(&free, soon()).await.unwrap().is_empty());
}
