//! A log of effects in each store: triggers record every effect in the transaction of the effect,
//! so that one that happened twice shows even where the rows look as if it had happened once.

use std::collections::BTreeMap;

use crate::stores::Stores;

/// A kind of effect that is recorded.
struct Effect {
    service: &'static str,
    name: &'static str,
    /// The event of the trigger.
    event: &'static str,
    /// The condition of the trigger.
    when: Option<&'static str>,
    /// The row (`new` or `old`) and the column of the id.
    id: (&'static str, &'static str),
}

/// The condition that a task has finished.
macro_rules! finished {
    ($row:literal) => {
        concat!($row, ".status in ('succeeded', 'failed', 'cancelled', 'dead')")
    };
}

const EFFECTS: [Effect; 14] = [
    effect("users", "user created", "insert on users", None, "id"),
    Effect {
        id: ("old", "id"),
        ..effect("users", "user purged", "delete on users", None, "id")
    },
    effect(
        "auth",
        "session ended",
        "update on sessions",
        Some("old.ended_at is null and new.ended_at is not null"),
        "id",
    ),
    effect("todos", "todo created", "insert on todos", None, "id"),
    effect(
        "todos",
        "todo updated",
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
    effect("todos", "user deletion", "insert on deleted_users", None, "user_id"),
    effect("todos", "user deletion", "update on deleted_users", None, "user_id"),
    effect("jobs", "task created", "insert on jobs", None, "id"),
    effect(
        "jobs",
        "task started",
        "update on jobs",
        Some("old.status <> 'running' and new.status = 'running'"),
        "id",
    ),
    effect(
        "jobs",
        "task finished",
        "update on jobs",
        Some(concat!("old.status <> new.status and ", finished!("new"))),
        "id",
    ),
    effect(
        "jobs",
        "task reopened",
        "update on jobs",
        Some(concat!("old.status <> new.status and ", finished!("old"))),
        "id",
    ),
    Effect {
        id: ("old", "id"),
        ..effect("jobs", "task deleted", "delete on jobs", None, "id")
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

/// Creates the tables and triggers in the stores.
pub async fn install(stores: &Stores) -> Result<(), sqlx::Error> {
    for service in stores.services() {
        let table = "create table chaos_effects (name text not null, id text not null)";
        stores.execute(service, table).await?;
    }
    for (number, effect) in EFFECTS.iter().enumerate() {
        stores.execute(effect.service, &effect.trigger(number, stores)).await?;
    }
    Ok(())
}

/// Every recorded effect in the store of a service: its name, and the id of its subject.
pub async fn read(stores: &Stores, service: &str) -> Result<Vec<(String, String)>, sqlx::Error> {
    let rows = stores.query(service, "select name, id from chaos_effects").await?;
    Ok(rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect())
}

/// How often the effect `name` is in a log, by the id of its subject.
pub fn count(log: &[(String, String)], name: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, id) in log.iter().filter(|(effect, _)| effect == name) {
        *counts.entry(id.clone()).or_default() += 1;
    }
    counts
}

impl Effect {
    fn trigger(&self, number: usize, stores: &Stores) -> String {
        let (event, name) = (self.event, self.name);
        let id = stores.id(&format!("{}.{}", self.id.0, self.id.1));
        let when = self.when.map(|when| format!("when ({when})")).unwrap_or_default();
        match stores {
            Stores::Sqlite(_) => format!(
                "create trigger chaos_{number} after {event} for each row {when}
                 begin insert into chaos_effects values ('{name}', {id}); end"
            ),
            Stores::Postgres(_) => format!(
                "create function chaos_{number}() returns trigger language plpgsql as $$
                 begin insert into chaos_effects values ('{name}', {id}); return null; end $$;
                 create trigger chaos_{number} after {event} for each row {when} execute function chaos_{number}()"
            ),
        }
    }
}
