-- The replies to requests with an Idempotency-Key. A row is written in the transaction of the request's effect.
create table idempotency_keys (
    -- The user whose key it is. A request of nobody in particular is its own owner: an id made of its fingerprint.
    owner       uuid not null,
    key         text not null,
    method      text not null,
    -- What distinguishes the request from every other: a keyed hash of method and message.
    fingerprint bytea not null,
    -- The reply, encoded.
    reply       bytea not null,
    created_at  timestamptz not null,
    primary key (owner, key)
);

create index idempotency_keys_created_idx on idempotency_keys (created_at);
