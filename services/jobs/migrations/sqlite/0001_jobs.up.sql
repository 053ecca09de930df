-- The row of a job is the truth; the message that asks a worker for it is only a wake-up call, written in the same transaction.
-- Ids are blobs of 16 bytes, moments integers of microseconds since the epoch.
create table jobs (
    id               blob primary key not null,
    -- An account of the auth service, known here by its id alone; all zeros for the suite itself.
    owner            blob not null,
    kind             text not null,
    payload          blob not null,
    queue            text not null,
    status           text not null,
    unique_key       text,
    attempts         integer not null default 0,
    max_attempts     integer not null,
    progress         integer not null default 0,
    note             text not null default '',
    result           blob,
    problem_reason   text,
    problem_message  text,
    cancel_requested integer not null default 0,
    run_at           integer not null,
    -- Seconds.
    result_ttl       integer not null,
    -- Who runs it, and until when others take that for granted.
    lease            blob,
    lease_until      integer,
    created_at       integer not null,
    updated_at       integer not null,
    started_at       integer,
    finished_at      integer,
    expires_at       integer
) strict;

create unique index jobs_owner_unique_key_key on jobs (owner, unique_key) where unique_key is not null;
create index jobs_owner_idx on jobs (owner, id);
-- What the sweeper looks for.
create index jobs_scheduled_idx on jobs (run_at) where status = 'scheduled';
create index jobs_queued_idx on jobs (updated_at) where status = 'queued';
create index jobs_running_idx on jobs (lease_until) where status = 'running';
create index jobs_dead_idx on jobs (id) where status = 'dead';
create index jobs_expires_idx on jobs (expires_at) where expires_at is not null;

create table queues (
    name   text primary key not null,
    paused integer not null default 0
) strict;

insert into queues (name) values ('low'), ('default'), ('high');

create table schedules (
    name        text primary key not null,
    cron        text not null,
    kind        text not null,
    next_run_at integer not null,
    last_run_at integer
) strict;

create table webhooks (
    id         blob primary key not null,
    owner      blob not null,
    url        text not null,
    -- Names of events, with a space after each.
    events     text not null,
    enabled    integer not null,
    secret     blob not null,
    created_at integer not null,
    updated_at integer not null
) strict;

create index webhooks_owner_idx on webhooks (owner, id);
