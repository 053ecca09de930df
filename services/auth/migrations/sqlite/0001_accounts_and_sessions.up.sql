-- Ids, hashes and keys are blobs, moments integers of microseconds since the epoch.

-- Somebody who can sign in. The id is also the user's id in the users service.
create table accounts (
    id             blob primary key not null,
    username       text not null constraint accounts_username_key unique,
    -- The address as its owner writes it, and in lower case, which is what it is unique and found by.
    email          text not null,
    email_key      text not null constraint accounts_email_key unique,
    email_verified integer not null,
    -- The name given at registration, for a user that is yet to be made.
    name           text not null,
    password_hash  text not null,
    role           text not null,
    disabled       integer not null,
    closed         integer not null,
    -- The tier that users last told.
    tier           text,
    created_at     integer not null,
    updated_at     integer not null
) strict;

-- The superusers are counted before one is lost.
create index accounts_superuser_idx on accounts (id) where role = 'superuser';

-- One signed-in device: a family of refresh tokens. It is kept until it would have expired, so that a replay is told from a guess.
create table sessions (
    id           blob primary key not null,
    account_id   blob not null references accounts (id) on delete cascade,
    -- 32 random bytes, mixed into every successor of its refresh tokens.
    secret       blob not null,
    user_agent   text not null,
    ip_address   text not null,
    created_at   integer not null,
    last_used_at integer not null,
    expires_at   integer not null,
    ended_at     integer,
    end_reason   text
) strict;

create index sessions_account_idx on sessions (account_id, last_used_at);
create index sessions_expires_idx on sessions (expires_at);

-- Every refresh token of a session that ever was, as SHA-256 alone. One that is unused is the one in force.
create table refresh_tokens (
    token_hash blob primary key not null,
    session_id blob not null references sessions (id) on delete cascade,
    used_at    integer
) strict;

create index refresh_tokens_session_idx on refresh_tokens (session_id);

-- Sessions that no longer count, as long as an access token of theirs could be alive. They outlive their session and account.
create table revocations (
    session_id blob primary key not null,
    ended_at   integer not null,
    forget_at  integer not null
) strict;

create index revocations_ended_idx on revocations (ended_at);
create index revocations_forget_idx on revocations (forget_at);

-- The keys that sign access tokens. Private keys stand here as PKCS#8 or PKCS#1 DER: all replicas sign with them, and whoever can read this
-- table can also write password hashes, so a key beside them would add little. Encrypt the disk, and keep the store to auth alone.
create table signing_keys (
    kid         text primary key not null,
    algorithm   text not null,
    private_key blob not null,
    created_at  integer not null,
    -- From when it signs; it is published before, so that every process knows it by then.
    active_at   integer not null,
    -- From when it no longer signs, and until when it still verifies.
    retired_at  integer,
    expires_at  integer
) strict;

-- Processes that start or rotate at once agree on one current key per algorithm.
create unique index signing_keys_current_key on signing_keys (algorithm) where retired_at is null;

-- Failed logins by the name that was offered (SHA-256) and the client's address, or `*` for all addresses.
create table login_attempts (
    subject       blob not null,
    address       text not null,
    failures      integer not null,
    attempted_at  integer not null,
    blocked_until integer not null,
    primary key (subject, address)
) strict;

create index login_attempts_attempted_idx on login_attempts (attempted_at);

-- Mails that were asked for, known address or not, until they are made and sent. One of a kind per address.
create table mail_requests (
    purpose      text not null,
    email_key    text not null,
    language     text not null,
    requested_at integer not null,
    -- Who sends it has until then; afterwards another one tries.
    leased_until integer not null,
    primary key (purpose, email_key)
) strict;

create index mail_requests_leased_idx on mail_requests (leased_until);

-- Tokens that mails carry, as SHA-256 alone. Each is good for one purpose, one use, and the address it was sent to.
create table mail_tokens (
    token_hash blob primary key not null,
    account_id blob not null references accounts (id) on delete cascade,
    purpose    text not null,
    email_key  text not null,
    created_at integer not null,
    -- When its mail was sent.
    sent_at    integer,
    expires_at integer not null
) strict;

create index mail_tokens_account_idx on mail_tokens (account_id, purpose);
create index mail_tokens_expires_idx on mail_tokens (expires_at);
