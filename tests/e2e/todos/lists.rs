//! Lists of todos: filters, orders, both kinds of paging.

use serde_json::{Value, json};

use super::{create, create_tag, path};
use quartet_tests::{App, Person, on_every_topology};

on_every_topology!(
    filters_narrow_a_list_together,
    text_is_found_in_title_and_description_without_regard_to_case,
    signs_of_patterns_are_found_as_themselves,
    every_order_sorts_both_ways_with_undated_todos_last,
    pages_by_number_have_their_position,
    pages_by_token_visit_every_todo_once_while_others_are_added,
    every_order_pages_by_token_without_gaps,
    the_standard_page_size_wins,
    a_page_out_of_range_is_refused,
    a_token_of_another_list_is_refused,
    a_page_token_excludes_a_page_number,
    a_page_past_the_end_is_empty,
);

/// Titles on the page at this query.
async fn titles(person: &Person, query: &str) -> Vec<String> {
    let page = person.get(&format!("/api/v1/todos?{query}")).await.expect(200);
    let titles = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|todo| todo["title"].as_str().unwrap().to_owned());
    titles.collect()
}

async fn filters_narrow_a_list_together(app: App) {
    let ada = app.register().await;
    let (home, work) = (
        create_tag(&ada, "home").await["id"].clone(),
        create_tag(&ada, "work").await["id"].clone(),
    );
    for todo in [
        json!({"title": "a", "tag_ids": [home], "priority": "PRIORITY_HIGH", "due_at": "2030-01-01T00:00:00Z"}),
        json!({"title": "b", "tag_ids": [home, work], "completed": true, "due_at": "2030-02-01T00:00:00Z"}),
        json!({"title": "c", "tag_ids": [work], "priority": "PRIORITY_HIGH", "completed": true}),
        json!({"title": "d", "due_at": "2030-03-01T00:00:00Z", "priority": "PRIORITY_LOW"}),
    ] {
        ada.post("/api/v1/todos", todo).await.expect(201);
    }
    for (query, expected) in [
        ("", "abcd"),
        ("completed=true", "bc"),
        ("completed=false", "ad"),
        ("tag=home", "ab"),
        ("tag=home&tag=work", "b"),
        ("tag=nowhere", ""),
        ("priority=PRIORITY_HIGH", "ac"),
        ("priority=3", "ac"),
        ("priority=PRIORITY_UNSPECIFIED", "b"),
        ("due_before=2030-02-01T00:00:00Z", "a"),
        ("due_after=2030-02-01T00:00:00Z", "d"),
        (
            "due_after=2030-01-01T00:00:00%2B01:00&due_before=2030-03-01T00:00:00Z",
            "ab",
        ),
        ("tag=work&completed=true&priority=PRIORITY_HIGH", "c"),
        ("completed=true&due_before=2031-01-01T00:00:00Z", "b"),
    ] {
        assert_eq!(
            titles(&ada, &format!("sort=title&{query}")).await.concat(),
            expected,
            "{query}"
        );
    }
}

async fn text_is_found_in_title_and_description_without_regard_to_case(app: App) {
    let ada = app.register().await;
    create(&ada, "Buy MILK").await;
    ada.post(
        "/api/v1/todos",
        json!({"title": "Shop", "description": "milk and bread"}),
    )
    .await
    .expect(201);
    create(&ada, "Полить ЦВЕТЫ").await;
    assert_eq!(titles(&ada, "q=milk&sort=title").await, ["Buy MILK", "Shop"]);
    assert_eq!(titles(&ada, "q=%D1%86%D0%B2%D0%B5%D1%82%D1%8B").await, ["Полить ЦВЕТЫ"]);
    assert!(titles(&ada, "q=butter").await.is_empty());
}

async fn signs_of_patterns_are_found_as_themselves(app: App) {
    let ada = app.register().await;
    for title in ["100%", "1000", "a_b", "axb", r"c\d", "it's"] {
        create(&ada, title).await;
    }
    for (query, found) in [("0%25", "100%"), ("a_b", "a_b"), ("c%5Cd", r"c\d"), ("'", "it's")] {
        assert_eq!(titles(&ada, &format!("q={query}")).await, [found]);
    }
}

async fn every_order_sorts_both_ways_with_undated_todos_last(app: App) {
    let ada = app.register().await;
    for (title, due_at, priority) in [
        ("b", json!("2030-01-02T00:00:00Z"), "PRIORITY_HIGH"),
        ("a", Value::Null, "PRIORITY_LOW"),
        ("c", json!("2030-01-01T00:00:00Z"), "PRIORITY_MEDIUM"),
    ] {
        let body = json!({"title": title, "due_at": due_at, "priority": priority});
        ada.post("/api/v1/todos", body).await.expect(201);
    }
    for (sort, expected) in [
        ("title", "abc"),
        ("-title", "cba"),
        ("created_at", "bac"),
        ("-created_at", "cab"),
        ("", "cab"),
        ("due_at", "cba"),
        ("-due_at", "bca"),
        ("priority", "acb"),
        ("-priority", "bca"),
        ("updated_at", "bac"),
        ("-updated_at", "cab"),
    ] {
        assert_eq!(titles(&ada, &format!("sort={sort}")).await.concat(), expected, "{sort}");
    }
    ada.get("/api/v1/todos?sort=user_id").await.invalid("sort");
}

async fn pages_by_number_have_their_position(app: App) {
    let ada = app.register().await;
    for number in 0..12 {
        create(&ada, &format!("{number:02}")).await;
    }
    let page = ada.get("/api/v1/todos?sort=title").await.expect(200);
    assert_eq!(page["data"].as_array().unwrap().len(), 10);
    assert_eq!((&page["total_count"], &page["has_more"]), (&json!(12), &json!(true)));
    assert_eq!((&page["page"], &page["items_per_page"]), (&json!(1), &json!(10)));
    let page = ada
        .get("/api/v1/todos?sort=title&page=3&items_per_page=5")
        .await
        .expect(200);
    assert_eq!(page["data"][0]["title"], "10");
    assert_eq!(
        (&page["total_count"], &page["has_more"], &page["page"]),
        (&json!(12), &json!(false), &json!(3))
    );
    assert_eq!(page["next_page_token"], "");
}

async fn pages_by_token_visit_every_todo_once_while_others_are_added(app: App) {
    let ada = app.register().await;
    for number in 0..9 {
        create(&ada, &format!("{number}")).await;
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = ada
            .get(&format!("/api/v1/todos?page_size=2&page_token={token}"))
            .await
            .expect(200);
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|todo| todo["title"].as_str().unwrap().to_owned()),
        );
        // With offsets, a newer todo in front would repeat the last one of this page.
        create(&ada, "new").await;
        token = page["next_page_token"].as_str().unwrap().to_owned();
        assert_eq!(page["has_more"], !token.is_empty());
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.concat(), "876543210");
}

async fn every_order_pages_by_token_without_gaps(app: App) {
    let ada = app.register().await;
    for number in 0..7 {
        // Equal values in every column, so that only the id makes an order total.
        let due_at = if number % 3 == 0 {
            Value::Null
        } else {
            json!(format!("2030-01-0{}T00:00:00Z", number % 3))
        };
        let body = json!({
            "title": format!("{}", number % 2),
            "description": format!("{number}"),
            "due_at": due_at,
            "priority": number % 3,
        });
        ada.post("/api/v1/todos", body).await.expect(201);
    }
    for sort in ["created_at", "updated_at", "due_at", "priority", "title"]
        .iter()
        .flat_map(|sort| [(*sort).to_owned(), format!("-{sort}")])
    {
        let whole = ada
            .get(&format!("/api/v1/todos?sort={sort}&page_size=100"))
            .await
            .expect(200)["data"]
            .clone();
        let (mut paged, mut token) = (Vec::new(), String::new());
        loop {
            let page = ada
                .get(&format!("/api/v1/todos?sort={sort}&page_size=2&page_token={token}"))
                .await
                .expect(200);
            paged.extend(page["data"].as_array().unwrap().clone());
            token = page["next_page_token"].as_str().unwrap().to_owned();
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(Value::Array(paged), whole, "{sort}");
    }
}

async fn the_standard_page_size_wins(app: App) {
    let ada = app.register().await;
    for number in 0..3 {
        create(&ada, &format!("{number}")).await;
    }
    let page = ada.get("/api/v1/todos?page_size=2&items_per_page=1").await.expect(200);
    assert_eq!(page["data"].as_array().unwrap().len(), 2);
    assert_eq!(page["items_per_page"], 2);
}

async fn a_page_out_of_range_is_refused(app: App) {
    let ada = app.register().await;
    for (query, field) in [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("items_per_page=0", "items_per_page"),
        ("items_per_page=101", "items_per_page"),
        ("page_size=101", "page_size"),
    ] {
        ada.get(&format!("/api/v1/todos?{query}")).await.invalid(field);
    }
}

async fn a_token_of_another_list_is_refused(app: App) {
    let ada = app.register().await;
    for number in 0..3 {
        create(&ada, &format!("{number}")).await;
    }
    let page = ada.get("/api/v1/todos?page_size=1&sort=title").await.expect(200);
    let token = page["next_page_token"].as_str().unwrap();
    ada.get(&format!("/api/v1/todos?page_size=1&sort=-title&page_token={token}"))
        .await
        .invalid("page_token");
    ada.get(&format!(
        "/api/v1/todos?page_size=1&sort=title&completed=true&page_token={token}"
    ))
    .await
    .invalid("page_token");
    ada.get(&format!("/api/v1/tags?page_token={token}"))
        .await
        .invalid("page_token");
    for nonsense in ["x", "AAAA", "%00", "%F0%9F%94%91", &"A".repeat(1000)] {
        ada.get(&format!("/api/v1/todos?page_token={nonsense}"))
            .await
            .invalid("page_token");
    }
}

async fn a_page_token_excludes_a_page_number(app: App) {
    let ada = app.register().await;
    for number in 0..3 {
        create(&ada, &format!("{number}")).await;
    }
    let page = ada.get("/api/v1/todos?page_size=1").await.expect(200);
    let token = page["next_page_token"].as_str().unwrap();
    let reply = ada
        .get(&format!("/api/v1/todos?page_size=1&page=2&page_token={token}"))
        .await;
    reply.problem(422, "validation_failed");
}

async fn a_page_past_the_end_is_empty(app: App) {
    let ada = app.register().await;
    let todo = create(&ada, "one").await;
    for page in ["2", "1000", "2147483647"] {
        let page = ada.get(&format!("/api/v1/todos?page={page}")).await.expect(200);
        assert_eq!((&page["data"], &page["has_more"]), (&json!([]), &json!(false)));
    }
    ada.get(&path(&todo)).await.expect(200);
}
