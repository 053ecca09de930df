-- When the owner of a session last proved who they are; null while that was the login.
alter table sessions add column authenticated_at timestamptz;
-- How well they proved it: by a password, or by two factors.
alter table sessions add column assurance text not null default 'password';

-- Changes of address that the owner of the old one can undo. The id is that of the request for the mail to them.
create table email_changes (
    id         uuid primary key,
    account_id uuid not null references accounts (id) on delete cascade,
    -- The old address, which was proven.
    email      text not null,
    email_key  text collate "C" not null,
    changed_at timestamptz not null
);

create index email_changes_account_idx on email_changes (account_id, changed_at);
create index email_changes_email_idx on email_changes (email_key);
create index email_changes_changed_idx on email_changes (changed_at);
