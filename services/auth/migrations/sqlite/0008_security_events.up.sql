-- What has happened to accounts: the audit trail. A row is written in the transaction of the effect, outlives its account, and is kept for
-- AUDIT_KEEP. It never has a secret.
create table security_events (
    -- UUIDv7: the order of what one process has done.
    id             blob primary key not null,
    -- A name of OWASP's logging vocabulary.
    kind           text not null,
    happened_at    integer not null,
    account_id     blob,
    session_id     blob,
    -- Who did it: the id of an account, or the name of a service.
    actor          text not null,
    client_address text not null,
    request_id     text not null,
    trace_id       text not null,
    detail         text not null
) strict;

create index security_events_account_idx on security_events (account_id, id);
create index security_events_happened_idx on security_events (happened_at);
