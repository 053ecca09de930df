//! The mutations, and the invariant that each violates.

/// A mutation of a store.
pub(super) struct Mutation {
    pub(super) service: &'static str,
    /// The placeholders stand for rows of the workload: `{todo}` and `{export}` for ids of active
    /// users, another one for each mutation; `{subscribed}` for the id of a user whose feed has a
    /// subscriber; `{imported}` for the title of an imported todo.
    pub(super) sql: &'static str,
    /// The invariant that has more violations after it.
    pub(super) violates: &'static str,
}

pub(super) const MUTATIONS: [Mutation; 24] = [
    // First, since other mutations of feeds show at their subscribers as well.
    Mutation {
        service: "todos",
        sql: "update changes set subject_id = x'00'
               where subject_id in (select subject_id from changes where user_id = {subscribed} limit 1)",
        violates: "subscribers received every change once, in order",
    },
    Mutation {
        service: "todos",
        sql: "update todos set title = 'another' where id = {todo}",
        violates: "todos of active users read as they were acknowledged last",
    },
    Mutation {
        service: "todos",
        sql: "update todos set title = (select title from todos where id <> {todo} order by id limit 1)
               where id = {todo}",
        violates: "creations took effect once, those with a key too",
    },
    Mutation {
        service: "todos",
        sql: "delete from todos where id = {todo}",
        violates: "acknowledged todos are in the store",
    },
    Mutation {
        service: "todos",
        sql: "delete from outbox where seq = (select max(seq) from outbox where kind = 'todos.todo.created.v1')",
        violates: "creations of todos were published once",
    },
    Mutation {
        service: "todos",
        sql: "delete from outbox where seq = (select max(seq) from outbox where kind = 'todos.todo.updated.v1')",
        violates: "updates of todos were published once",
    },
    Mutation {
        service: "todos",
        sql: "insert into chaos_effects select name, id from chaos_effects where name = 'todo deleted' limit 1",
        violates: "todos were deleted once or not at all",
    },
    Mutation {
        service: "todos",
        sql: "delete from changes where subject_id = {todo} and kind = 1",
        violates: "feeds have no gap except for deletions of users",
    },
    Mutation {
        service: "todos",
        sql: "update changes set kind = 2 where subject_id = {todo} and kind = 1",
        violates: "writes to todos are in their owner's feed once, and nothing else is",
    },
    Mutation {
        service: "todos",
        sql: "update changes set payload = '{}' where subject_id = {todo}",
        violates: "todos are as the last change in their feed",
    },
    Mutation {
        service: "users",
        sql: "delete from inbox where message_id = (select min(message_id) from inbox)",
        violates: "deliveries of an event to a consumer were handled",
    },
    Mutation {
        service: "users",
        sql: "insert into chaos_effects select name, id from chaos_effects where name = 'user created' limit 1",
        violates: "accounts have a user that was created once",
    },
    Mutation {
        service: "users",
        sql: "insert into inbox select consumer, x'00', seen_at from inbox limit 1",
        violates: "messages that were handled and never published",
    },
    Mutation {
        service: "auth",
        sql: "update accounts set closed = 1
               where id = (select id from accounts where closed = 0 and role = 'user' limit 1)",
        violates: "accounts are closed and users deleted exactly where that was invoked",
    },
    Mutation {
        service: "auth",
        sql: "insert into chaos_effects
              select 'session ended', lower(hex(id)) from sessions where ended_at is null limit 1",
        violates: "sessions ended once with the deletion of their user, or not at all",
    },
    Mutation {
        service: "auth",
        sql: "update accounts set email = 'elsewhere@example.org'
               where id = (select id from accounts where closed = 0 and email_verified = 0 limit 1)",
        violates: "unverified accounts received one verification mail",
    },
    Mutation {
        service: "jobs",
        sql: "delete from jobs where id = (select id from jobs where unique_key like 'welcome:%' limit 1)",
        violates: "accounts received one welcome mail",
    },
    Mutation {
        service: "jobs",
        // All of them: some have ended without a mail, since nobody needed it any more.
        sql: "delete from jobs where unique_key like 'mail:%'",
        violates: "jobs that send mails have sent one each",
    },
    Mutation {
        service: "jobs",
        sql: "update jobs set status = 'running' where id = {export}",
        violates: "unfinished tasks",
    },
    Mutation {
        service: "jobs",
        sql: "delete from jobs where id = {export}",
        violates: "accepted tasks finished well, with the status that was returned",
    },
    Mutation {
        service: "jobs",
        sql: "update jobs set result = null where id = {export}",
        violates: "exports of active users can be downloaded in full",
    },
    // Under a key of its own: a creation without a key may have completed as `info`.
    Mutation {
        service: "jobs",
        sql: "insert into jobs (id, owner, unique_key, kind, payload, queue, status, max_attempts, run_at,
                                result_ttl, created_at, updated_at)
              select x'00', owner, 'mutation', kind, payload, queue, status, max_attempts, run_at,
                     result_ttl, created_at, updated_at
                from jobs where id = {export}",
        violates: "tasks that were never created",
    },
    Mutation {
        service: "jobs",
        sql: "insert into chaos_effects select 'task finished', lower(hex(id)) from jobs where id = {export}",
        violates: "tasks were created once, started, and finished once",
    },
    Mutation {
        service: "todos",
        sql: "update todos set title = 'lost' where title = {imported}",
        violates: "rows of imported files are todos, once",
    },
];
