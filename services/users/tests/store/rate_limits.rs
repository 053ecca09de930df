use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;
use quartet_users::Error;
use quartet_users::domain::{Amount, LimitName, LimitPath, NewRateLimit, Period, RateLimitEdit};
use uuid::Uuid;

use super::{Fixture, tier_name};

quartet_testkit::on_both_databases!(
    a_rate_limit_is_read_back_as_it_was_written,
    paths_and_names_are_unique_within_a_tier,
    an_edit_writes_its_fields_and_leaves_the_others,
    limits_belong_to_their_tier,
    a_user_has_the_limits_of_their_tier,
    limits_are_listed_in_pages,
    deleting_a_tier_deletes_its_limits,
);

fn all() -> Page<String> {
    Page {
        size: 100,
        start: Start::Number(1),
    }
}

impl Fixture {
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
        self.store.insert_rate_limit(&tier_name(tier), &new, &self.cx()).await?;
        Ok(new.id)
    }
}

async fn a_rate_limit_is_read_back_as_it_was_written(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let free = fixture.tier("free").await;
    let new = fixture.limit("Reading todos", "/api/v1/todos/{todo_id}");
    let made = fixture
        .store
        .insert_rate_limit(&free, &new, &fixture.cx())
        .await
        .unwrap();
    let found = fixture
        .store
        .find_rate_limit(&free, new.id, &fixture.cx())
        .await
        .unwrap();
    assert_eq!(found, Some(made.clone()));
    assert_eq!(
        (made.tier_name.as_str(), made.name.as_str(), made.amount, made.period),
        ("free", "Reading todos", 10, 60)
    );
}

async fn paths_and_names_are_unique_within_a_tier(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    fixture.tier("free").await;
    fixture.tier("pro").await;
    fixture.insert("free", "todos", "/todos").await.unwrap();
    let second = fixture.insert("free", "tags", "/tags").await.unwrap();
    fixture.insert("pro", "todos", "/todos").await.unwrap();

    let path = fixture.insert("free", "other", "/todos").await;
    assert!(matches!(path, Err(Error::RateLimitExists { path }) if path == "/todos"));
    let name = fixture.insert("free", "todos", "/other").await;
    assert!(matches!(name, Err(Error::RateLimitNameTaken { name }) if name == "todos"));

    let update = async |edit: RateLimitEdit| {
        fixture
            .store
            .update_rate_limit(&tier_name("free"), second, &edit, &fixture.cx())
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
    let fixture = Fixture::new(fresh).await;
    let free = fixture.tier("free").await;
    let id = fixture.insert("free", "todos", "/todos").await.unwrap();
    fixture.clock.advance(time::Duration::seconds(1));
    let edit = RateLimitEdit {
        amount: Some(Amount::parse(99).unwrap()),
        ..RateLimitEdit::default()
    };
    let edited = fixture
        .store
        .update_rate_limit(&free, id, &edit, &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (edited.name.as_str(), edited.path.as_str(), edited.amount, edited.period),
        ("todos", "/todos", 99, 60)
    );
    assert_eq!(edited.updated_at, fixture.clock.now());
    let found = fixture.store.find_rate_limit(&free, id, &fixture.cx()).await.unwrap();
    assert_eq!(found, Some(edited));
}

async fn limits_belong_to_their_tier(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (free, pro, none) = (fixture.tier("free").await, fixture.tier("pro").await, tier_name("none"));
    let id = fixture.insert("free", "todos", "/todos").await.unwrap();
    let edit = RateLimitEdit {
        amount: Some(Amount::parse(99).unwrap()),
        ..RateLimitEdit::default()
    };
    assert_eq!(
        fixture.store.find_rate_limit(&pro, id, &fixture.cx()).await.unwrap(),
        None
    );
    let elsewhere = fixture.store.update_rate_limit(&pro, id, &edit, &fixture.cx()).await;
    assert_eq!(elsewhere.unwrap(), None);
    assert!(!fixture.store.delete_rate_limit(&pro, id, &fixture.cx()).await.unwrap());
    assert!(
        fixture
            .store
            .list_rate_limits(&pro, &all(), &fixture.cx())
            .await
            .unwrap()
            .rows
            .is_empty()
    );

    let no_tier = |result: Result<(), Error>| matches!(result, Err(Error::TierNotFound { name }) if name == "none");
    assert!(no_tier(
        fixture.store.find_rate_limit(&none, id, &fixture.cx()).await.map(drop)
    ));
    let update = fixture.store.update_rate_limit(&none, id, &edit, &fixture.cx()).await;
    assert!(no_tier(update.map(drop)));
    assert!(no_tier(
        fixture
            .store
            .delete_rate_limit(&none, id, &fixture.cx())
            .await
            .map(drop)
    ));
    assert!(no_tier(
        fixture
            .store
            .list_rate_limits(&none, &all(), &fixture.cx())
            .await
            .map(drop)
    ));
    assert!(no_tier(fixture.insert("none", "todos", "/todos").await.map(drop)));

    assert!(fixture.store.delete_rate_limit(&free, id, &fixture.cx()).await.unwrap());
    assert!(!fixture.store.delete_rate_limit(&free, id, &fixture.cx()).await.unwrap());
}

async fn a_user_has_the_limits_of_their_tier(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.user("ada").await;
    let pro = fixture.tier("pro").await;
    fixture.tier("free").await;
    fixture.insert("pro", "todos", "/todos").await.unwrap();
    fixture.insert("pro", "tags", "/tags").await.unwrap();
    fixture.insert("free", "users", "/users").await.unwrap();
    assert!(
        fixture
            .store
            .list_user_rate_limits(id, &all(), &fixture.cx())
            .await
            .unwrap()
            .rows
            .is_empty()
    );
    fixture.store.set_tier(id, Some(&pro), &fixture.cx()).await.unwrap();
    let limits = fixture
        .store
        .list_user_rate_limits(id, &all(), &fixture.cx())
        .await
        .unwrap()
        .rows;
    let paths: Vec<_> = limits.iter().map(|limit| limit.path.as_str()).collect();
    assert_eq!(paths, ["/tags", "/todos"]);
    assert_eq!(
        fixture
            .store
            .list_rate_limits(&pro, &all(), &fixture.cx())
            .await
            .unwrap()
            .rows,
        limits
    );
    fixture.delete(id).await;
    let gone = fixture.store.list_user_rate_limits(id, &all(), &fixture.cx()).await;
    assert!(matches!(gone, Err(Error::UserNotFound { .. })));
}

async fn limits_are_listed_in_pages(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.user("ada").await;
    let pro = fixture.tier("pro").await;
    fixture.tier("free").await;
    fixture.store.set_tier(id, Some(&pro), &fixture.cx()).await.unwrap();
    for number in [3, 1, 5, 2, 4] {
        let (name, path) = (format!("limit {number}"), format!("/{number}"));
        fixture.insert("pro", &name, &path).await.unwrap();
        fixture.insert("free", &name, &path).await.unwrap();
    }
    for of_user in [false, true] {
        let list = async |page: &Page<String>| {
            let (store, cx) = (&fixture.store, fixture.cx());
            let page = match of_user {
                true => store.list_user_rate_limits(id, page, &cx).await.unwrap(),
                false => store.list_rate_limits(&pro, page, &cx).await.unwrap(),
            };
            let paths: Vec<_> = page.rows.iter().map(|limit| limit.path.clone()).collect();
            (paths.join(" "), page.total, page.has_more)
        };
        let by_number = |number| Page {
            size: 2,
            start: Start::Number(number),
        };
        assert_eq!(list(&by_number(1)).await, ("/1 /2".into(), 5, true));
        assert_eq!(list(&by_number(3)).await, ("/5".into(), 5, false));
        assert_eq!(
            list(&by_number(4)).await,
            (String::new(), 5, false),
            "past the last page"
        );
        let after = |path: &str| Page {
            size: 2,
            start: Start::After {
                key: path.to_owned(),
                total: 5,
                total_is_exact: true,
            },
        };
        assert_eq!(list(&after("/2")).await, ("/3 /4".into(), 5, true));
        assert_eq!(list(&after("/4")).await, ("/5".into(), 5, false));
    }
}

async fn deleting_a_tier_deletes_its_limits(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let free = fixture.tier("free").await;
    fixture.insert("free", "todos", "/todos").await.unwrap();
    assert!(fixture.store.delete_tier(&free, &fixture.cx()).await.unwrap());
    fixture.tier("free").await;
    assert!(
        fixture
            .store
            .list_rate_limits(&free, &all(), &fixture.cx())
            .await
            .unwrap()
            .rows
            .is_empty()
    );
}
