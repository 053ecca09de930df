//! A witness in each store: a trigger notes every effect in the transaction of the effect, so that one that happened twice is seen even where the rows
//! look as if it had happened once.

use crate::books::Books;

/// An effect that is noted.
struct Effect {
    service: &'static str,
    name: &'static str,
    /// When, in the words of a trigger.
    event: &'static str,
    /// On which rows.
    when: Option<&'static str>,
    /// Whose row: `new` or `old`, and the column of the id.
    id: (&'static str, &'static str),
}

/// The statuses with which a task has ended.
macro_rules! ended {
    ($row:literal) => {
        concat!($row, ".status in ('succeeded', 'failed', 'cancelled', 'dead')")
    };
}

const EFFECTS: [Effect; 14] = [
    effect("users", "user made", "insert on users", None, "id"),
    Effect {
        id: ("old", "id"),
        ..effect("users", "user gone", "delete on users", None, "id")
    },
    effect(
        "auth",
        "session ended",
        "update on sessions",
        Some("old.ended_at is null and new.ended_at is not null"),
        "id",
    ),
    effect("todos", "todo made", "insert on todos", None, "id"),
    effect(
        "todos",
        "todo written",
        "update on todos",
        Some("old.deleted_at is null and new.deleted_at is null and old.updated_at <> new.updated_at"),
        "id",
    ),
    effect(
        "todos",
        "todo deleted",
        "update on todos",
        Some("old.deleted_at is null and new.deleted_at is not null"),
        "id",
    ),
    effect(
        "todos",
        "todo restored",
        "update on todos",
        Some("old.deleted_at is not null and new.deleted_at is null"),
        "id",
    ),
    effect("todos", "user departed", "insert on departed_users", None, "user_id"),
    effect("todos", "user departed", "update on departed_users", None, "user_id"),
    effect("jobs", "task made", "insert on jobs", None, "id"),
    effect(
        "jobs",
        "task begun",
        "update on jobs",
        Some("old.status <> 'running' and new.status = 'running'"),
        "id",
    ),
    effect(
        "jobs",
        "task ended",
        "update on jobs",
        Some(concat!("old.status <> new.status and ", ended!("new"))),
        "id",
    ),
    effect(
        "jobs",
        "task revived",
        "update on jobs",
        Some(concat!("old.status <> new.status and ", ended!("old"))),
        "id",
    ),
    Effect {
        id: ("old", "id"),
        ..effect("jobs", "task gone", "delete on jobs", None, "id")
    },
];

const fn effect(
    service: &'static str,
    name: &'static str,
    event: &'static str,
    when: Option<&'static str>,
    column: &'static str,
) -> Effect {
    Effect {
        service,
        name,
        event,
        when,
        id: ("new", column),
    }
}

/// Puts the witnesses into the stores.
pub async fn install(books: &Books) -> Result<(), sqlx::Error> {
    for service in books.services() {
        books
            .run(
                service,
                "create table chaos_effects (name text not null, id text not null)",
            )
            .await?;
    }
    for (number, effect) in EFFECTS.iter().enumerate() {
        books.run(effect.service, &effect.sql(number, books)).await?;
    }
    Ok(())
}

/// Every effect that was noted in the store of a service, with the id that it happened to.
pub async fn effects(books: &Books, service: &str) -> Result<Vec<(String, String)>, sqlx::Error> {
    let rows = books.rows(service, "select name, id from chaos_effects").await?;
    Ok(rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect())
}

impl Effect {
    fn sql(&self, number: usize, books: &Books) -> String {
        let (event, name) = (self.event, self.name);
        let id = books.id(&format!("{}.{}", self.id.0, self.id.1));
        let when = self.when.map(|when| format!("when ({when})")).unwrap_or_default();
        match books {
            Books::Sqlite(_) => format!(
                "create trigger chaos_{number} after {event} for each row {when}
                 begin insert into chaos_effects values ('{name}', {id}); end"
            ),
            Books::Postgres(_) => format!(
                "create function chaos_{number}() returns trigger language plpgsql as $$
                 begin insert into chaos_effects values ('{name}', {id}); return null; end $$;
                 create trigger chaos_{number} after {event} for each row {when} execute function chaos_{number}()"
            ),
        }
    }
}
