-- The queues of the broker within the process. Ids are blobs of 16 bytes, moments integers of microseconds since the epoch.
create table queues (
    name     text primary key not null,
    -- Patterns over kinds, as a JSON array.
    bindings text not null,
    paused   integer not null default 0
) strict, without rowid;

-- One row for each queue that a message is in, until its handler has committed.
create table deliveries (
    seq          integer primary key autoincrement,
    queue_name   text not null references queues (name),
    id           blob not null,
    kind         text not null,
    source       text not null,
    subject      text not null,
    ordered      integer not null,
    time         integer not null,
    content_type text not null,
    payload      blob not null,
    traceparent  text,
    tracestate   text,
    queue        text,
    priority     text,
    -- How often it was handed out since it was published or last retried: more than once when its consumer died with it.
    handed_out   integer not null default 0,
    -- How often it was retried.
    retries      integer not null default 0,
    due_at       integer not null,
    reason       text,
    dead_at      integer,
    -- A copy that is published while the first one is still here is no second message.
    constraint deliveries_queue_id_key unique (queue_name, id)
) strict;

create index deliveries_live_idx on deliveries (queue_name, seq) where dead_at is null;
create index deliveries_subject_idx on deliveries (queue_name, source, subject, seq) where dead_at is null;
create index deliveries_dead_idx on deliveries (queue_name, seq) where dead_at is not null;
