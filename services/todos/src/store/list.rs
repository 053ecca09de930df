//! The parts of a list's SQL: filter, key and order, over either database.

use quartet_store::Timestamp;
use sqlx::{Database, Encode, QueryBuilder, Type};
use uuid::Uuid;

use crate::domain::{Filter, Key, Order, Sort, SortValue, name_key};

/// How the total of a list comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Total {
    /// All todos of the owner: a number that is kept.
    Live,
    /// Those that are done: kept.
    Completed,
    /// Those that are not: the difference.
    Open,
    /// Counted, up to a bound.
    Counted,
}

impl Total {
    /// The total of a list with this filter.
    pub(super) fn of(filter: &Filter) -> Self {
        match filter {
            Filter {
                completed,
                tags,
                q: None,
                due_before: None,
                due_after: None,
                priority: None,
                deleted: false,
            } if tags.is_empty() => match completed {
                None => Self::Live,
                Some(true) => Self::Completed,
                Some(false) => Self::Open,
            },
            _ => Self::Counted,
        }
    }
}

/// A text as searches compare it.
pub(super) fn search_key(text: Option<&str>) -> String {
    text.unwrap_or_default().to_lowercase()
}

/// A value that a list can bind in database `D`.
pub(super) trait Bind<D: Database>: for<'q> Encode<'q, D> + Type<D> + Send + 'static {}
impl<D: Database, T: for<'q> Encode<'q, D> + Type<D> + Send + 'static> Bind<D> for T {}

pub(super) fn push_filter<D: Database>(query: &mut QueryBuilder<D>, owner: Uuid, filter: &Filter)
where
    Uuid: Bind<D>,
    Timestamp: Bind<D>,
    String: Bind<D>,
    i16: Bind<D>,
{
    query.push("user_id = ").push_bind(owner);
    query.push(if filter.deleted {
        " and deleted_at is not null"
    } else {
        " and deleted_at is null"
    });
    match filter.completed {
        Some(true) => query.push(" and completed_at is not null"),
        Some(false) => query.push(" and completed_at is null"),
        None => query,
    };
    if let Some(q) = &filter.q {
        query
            .push(" and (title_key like ")
            .push_bind(pattern(q))
            .push(r" escape '\' or description_key like ")
            .push_bind(pattern(q))
            .push(r" escape '\')");
    }
    if let Some(before) = filter.due_before {
        query.push(" and due_at < ").push_bind(Timestamp(before));
    }
    if let Some(after) = filter.due_after {
        query.push(" and due_at > ").push_bind(Timestamp(after));
    }
    if let Some(priority) = filter.priority {
        query.push(" and priority = ").push_bind(priority.number());
    }
    for name in &filter.tags {
        // The tag is looked up once, not for each todo. One that the owner lacks is on no todo.
        query
            .push(" and exists (select 1 from todo_tags where todo_id = todos.id and tag_id = ")
            .push("(select id from tags where user_id = ")
            .push_bind(owner)
            .push(" and (name_key = ")
            .push_bind(name_key(name))
            .push(" or name_key is null and name = ")
            .push_bind(name.clone())
            .push(") order by name_key is null limit 1))");
    }
}

/// Only what comes after `key`. A key that does not fit the order, which no token of this list
/// holds, matches nothing.
pub(super) fn push_key<D: Database>(query: &mut QueryBuilder<D>, order: Order, key: &Key)
where
    Uuid: Bind<D>,
    Timestamp: Bind<D>,
    String: Bind<D>,
    i16: Bind<D>,
{
    let after = if order.descending { " < " } else { " > " };
    let column = column(order.sort);
    if (order.sort, &key.value) == (Sort::DueAt, &SortValue::Never) {
        query.push(" and due_at is null and id").push(after).push_bind(key.id);
        return;
    }
    query.push(" and ((").push(column).push(", id)").push(after).push("(");
    match &key.value {
        SortValue::Time(micros) if matches!(order.sort, Sort::CreatedAt | Sort::UpdatedAt | Sort::DueAt) => {
            query.push_bind(Timestamp::from_micros(*micros).unwrap_or(Timestamp(time::OffsetDateTime::UNIX_EPOCH)))
        }
        SortValue::Priority(number) if order.sort == Sort::Priority => query.push_bind(*number),
        SortValue::Title(title) if order.sort == Sort::Title => query.push_bind(title.clone()),
        SortValue::Time(_) | SortValue::Priority(_) | SortValue::Title(_) | SortValue::Never => query.push("null"),
    };
    query.push(", ").push_bind(key.id).push(")");
    if order.sort == Sort::DueAt {
        query.push(" or due_at is null");
    }
    query.push(")");
}

pub(super) fn push_order<D: Database>(query: &mut QueryBuilder<D>, order: Order) {
    let direction = if order.descending { " desc" } else { "" };
    query.push(" order by ");
    if order.sort == Sort::DueAt {
        // Both databases sort nulls differently; this puts them last in either.
        query.push("due_at is null, ");
    }
    query
        .push(column(order.sort))
        .push(direction)
        .push(", id")
        .push(direction);
}

fn column(sort: Sort) -> &'static str {
    match sort {
        Sort::CreatedAt => "created_at",
        Sort::UpdatedAt => "updated_at",
        Sort::DueAt => "due_at",
        Sort::Priority => "priority",
        Sort::Title => "title_key",
    }
}

/// A `like` pattern that finds the text anywhere, with its own wildcards taken literally.
fn pattern(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}
