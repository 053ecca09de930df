-- The second factor of an account: a secret that an app has too (RFC 6238).
create table second_factors (
    account_id     uuid primary key references accounts (id) on delete cascade,
    -- Encrypted under a key that is not in this store.
    secret         bytea not null,
    -- The SHA-256 of each recovery code that is left, one after the other.
    recovery_codes bytea not null,
    created_at     timestamptz not null,
    -- When an app has proven to have it; logins demand a code since then.
    confirmed_at   timestamptz,
    -- The time step of the last code: no earlier one is taken again.
    last_step      bigint not null
);
