-- The row of a job is the truth; the message that asks a worker for it is only a wake-up call, written in the same transaction.
create table jobs (
    id               uuid primary key,
    -- An account of the auth service, known here by its id alone; all zeros for the suite itself.
    owner            uuid not null,
    kind             text not null,
    payload          bytea not null,
    queue            text not null,
    status           text not null,
    unique_key       text collate "C",
    attempts         smallint not null default 0,
    max_attempts     smallint not null,
    progress         smallint not null default 0,
    note             text not null default '',
    result           bytea,
    problem_reason   text,
    problem_message  text,
    cancel_requested boolean not null default false,
    run_at           timestamptz not null,
    -- Seconds.
    result_ttl       bigint not null,
    -- Who runs it, and until when others take that for granted.
    lease            uuid,
    lease_until      timestamptz,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    started_at       timestamptz,
    finished_at      timestamptz,
    expires_at       timestamptz
);

create unique index jobs_owner_unique_key_key on jobs (owner, unique_key) where unique_key is not null;
create index jobs_owner_idx on jobs (owner, id);
-- What the sweeper looks for.
create index jobs_scheduled_idx on jobs (run_at) where status = 'scheduled';
create index jobs_queued_idx on jobs (updated_at) where status = 'queued';
create index jobs_running_idx on jobs (lease_until) where status = 'running';
create index jobs_dead_idx on jobs (id) where status = 'dead';
create index jobs_expires_idx on jobs (expires_at) where expires_at is not null;

create table queues (
    name   text primary key,
    paused boolean not null default false
);

insert into queues (name) values ('low'), ('default'), ('high');

create table schedules (
    name        text collate "C" primary key,
    cron        text not null,
    kind        text not null,
    next_run_at timestamptz not null,
    last_run_at timestamptz
);

create table webhooks (
    id         uuid primary key,
    owner      uuid not null,
    url        text not null,
    -- Names of events, with a space after each.
    events     text not null,
    enabled    boolean not null,
    secret     bytea not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create index webhooks_owner_idx on webhooks (owner, id);
