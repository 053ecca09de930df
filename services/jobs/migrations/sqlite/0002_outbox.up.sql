-- What this service says, until the broker has it, and for a while after. A row is written in the transaction of the write that it tells of.
-- Ids are blobs of 16 bytes, moments integers of microseconds since the epoch.
create table outbox (
    -- The order of writing.
    seq           integer primary key autoincrement,
    id            blob not null,
    kind          text not null,
    source        text not null,
    subject       text not null,
    -- Whether it waits for every earlier ordered row of its source and subject.
    ordered       integer not null,
    time          integer not null,
    content_type  text not null,
    payload       blob not null,
    traceparent   text,
    tracestate    text,
    -- The work queue and its priority; null for an event.
    queue         text,
    priority      text,
    -- How often sending it has failed, why, and when it is due again.
    failures      integer not null default 0,
    failure       text,
    due_at        integer not null,
    -- A relay has it in hand until then; past that, the relay is taken for dead.
    claimed_until integer,
    sent_at       integer
) strict;

-- Few rows are unsent at a time. Sent ones have no index of their own, so that marking one costs little: the oldest have the lowest numbers.
create index outbox_unsent_idx on outbox (seq) where sent_at is null;
create index outbox_ordered_idx on outbox (source, subject, seq) where sent_at is null and ordered;

-- What this service has heard and done. A row is written in the transaction of the effect, so a message takes effect once.
create table inbox (
    consumer   text not null,
    message_id blob not null,
    seen_at    integer not null,
    primary key (consumer, message_id)
) strict, without rowid;

create index inbox_seen_idx on inbox (seen_at);
