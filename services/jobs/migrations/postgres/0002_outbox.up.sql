-- What this service says, until the broker has it, and for a while after. A row is written in the transaction of the write that it tells of.
create table outbox (
    -- The order of writing. A transaction that commits late has an early number: the relay goes by the state of a row, never by the last number.
    seq           bigint generated always as identity primary key,
    id            uuid not null,
    kind          text not null,
    source        text not null,
    subject       text not null,
    -- Whether it waits for every earlier ordered row of its source and subject.
    ordered       boolean not null,
    time          timestamptz not null,
    content_type  text not null,
    payload       bytea not null,
    traceparent   text,
    tracestate    text,
    -- The work queue and its priority; null for an event.
    queue         text,
    priority      text,
    -- How often sending it has failed, why, and when it is due again.
    failures      integer not null default 0,
    failure       text,
    due_at        timestamptz not null,
    -- A relay has it in hand until then; past that, the relay is taken for dead.
    claimed_until timestamptz,
    sent_at       timestamptz
) with (
    -- Claiming a row changes it in place when its page has room for another version, and no index is touched.
    fillfactor = 50
);

-- Few rows are unsent at a time. Sent ones have no index of their own, so that marking one costs little: the oldest have the lowest numbers.
create index outbox_unsent_idx on outbox (seq) where sent_at is null;
create index outbox_ordered_idx on outbox (source, subject, seq) where sent_at is null and ordered;

-- What this service has heard and done. A row is written in the transaction of the effect, so a message takes effect once.
create table inbox (
    consumer   text not null,
    message_id uuid not null,
    seen_at    timestamptz not null,
    primary key (consumer, message_id)
);

create index inbox_seen_idx on inbox (seen_at);
