//! What can be lost, and which statement tells of it.

/// Something that is done to a store by hand.
pub(super) struct Loss {
    pub(super) service: &'static str,
    /// In braces stands what the load left: `{todo}` and `{export}` are ids, of somebody who stays, another one for each loss; `{followed}` is the id of
    /// somebody whose feed was followed; `{imported}` is the title of a todo that was imported.
    pub(super) sql: &'static str,
    /// The statement that is contradicted once more.
    pub(super) breaks: &'static str,
}

pub(super) const LOSSES: [Loss; 23] = [
    // Before the feeds are spoilt in other ways, which who followed them contradicts as well.
    Loss {
        service: "todos",
        sql: "update changes set subject_id = x'00' where subject_id in (select subject_id from changes where user_id = {followed} limit 1)",
        breaks: "changes were heard, in order and once, by who followed a feed",
    },
    Loss {
        service: "todos",
        sql: "update todos set title = 'another' where id = {todo}",
        breaks: "todos of those who stay read as they were answered",
    },
    Loss {
        service: "todos",
        sql: "delete from todos where id = {todo}",
        breaks: "todos that were acknowledged are in the store",
    },
    Loss {
        service: "todos",
        sql: "delete from outbox where seq = (select max(seq) from outbox where kind = 'todos.todo.created.v1')",
        breaks: "todos were told to be made once",
    },
    Loss {
        service: "todos",
        sql: "delete from outbox where seq = (select max(seq) from outbox where kind = 'todos.todo.updated.v1')",
        breaks: "edits were told of once",
    },
    Loss {
        service: "todos",
        sql: "insert into chaos_effects select name, id from chaos_effects where name = 'todo deleted' limit 1",
        breaks: "todos were deleted once or not at all",
    },
    Loss {
        service: "todos",
        sql: "delete from changes where subject_id = {todo} and kind = 1",
        breaks: "feeds have no gap but for departures",
    },
    Loss {
        service: "todos",
        sql: "update changes set kind = 2 where subject_id = {todo} and kind = 1",
        breaks: "writes to todos are in their owner's feed once, and nothing else is",
    },
    Loss {
        service: "todos",
        sql: "update changes set payload = '{}' where subject_id = {todo}",
        breaks: "todos are as their feed told of them last",
    },
    Loss {
        service: "users",
        sql: "delete from inbox where message_id = (select min(message_id) from inbox)",
        breaks: "times an event was to be heard by a consumer, and was",
    },
    Loss {
        service: "users",
        sql: "insert into chaos_effects select name, id from chaos_effects where name = 'user made' limit 1",
        breaks: "accounts have a user, which was made once",
    },
    Loss {
        service: "users",
        sql: "insert into inbox select consumer, x'00', seen_at from inbox limit 1",
        breaks: "messages were heard that nobody said",
    },
    Loss {
        service: "auth",
        sql: "update accounts set closed = 1 where id = (select id from accounts where closed = 0 and role = 'user' limit 1)",
        breaks: "accounts are closed, and their users deleted, exactly if that was asked for",
    },
    Loss {
        service: "auth",
        sql: "insert into chaos_effects select 'session ended', lower(hex(id)) from sessions where ended_at is null limit 1",
        breaks: "sessions ended once with their person, or not at all",
    },
    Loss {
        service: "auth",
        sql: "update accounts set email = 'elsewhere@example.org'
               where id = (select id from accounts where closed = 0 and email_verified = 0 limit 1)",
        breaks: "accounts were asked to prove their address",
    },
    Loss {
        service: "jobs",
        sql: "delete from jobs where id = (select id from jobs where unique_key like 'welcome:%' limit 1)",
        breaks: "accounts were welcomed by mail once",
    },
    Loss {
        service: "jobs",
        sql: "delete from jobs where id = (select id from jobs where unique_key like 'email_verification:%' limit 1)",
        breaks: "mails are there, one for each that was asked for",
    },
    Loss {
        service: "jobs",
        sql: "update jobs set status = 'running' where id = {export}",
        breaks: "tasks are still under way",
    },
    Loss {
        service: "jobs",
        sql: "delete from jobs where id = {export}",
        breaks: "tasks that were accepted have ended well, and as it was told",
    },
    Loss {
        service: "jobs",
        sql: "update jobs set result = null where id = {export}",
        breaks: "exports of those who stay can be fetched whole",
    },
    Loss {
        service: "jobs",
        sql: "insert into jobs (id, owner, kind, payload, queue, status, max_attempts, run_at, result_ttl, created_at, updated_at)
              select x'00', owner, kind, payload, queue, status, max_attempts, run_at, result_ttl, created_at, updated_at
                from jobs where id = {export}",
        breaks: "tasks are there that nobody asked for",
    },
    Loss {
        service: "jobs",
        sql: "insert into chaos_effects select 'task ended', lower(hex(id)) from jobs where id = {export}",
        breaks: "tasks were made once, begun, and ended once",
    },
    Loss {
        service: "todos",
        sql: "update todos set title = 'lost' where title = {imported}",
        breaks: "rows of imported files are todos, once",
    },
];
