-- The address that the account asked for, until its owner follows the link sent to it; as they write it, and as it will be found by. It is
-- not unique: whoever proves it first gets it, and nobody can keep an address from its owner by asking for it.
alter table accounts add column pending_email text;
alter table accounts add column pending_email_key text;

create index accounts_pending_email_idx on accounts (pending_email_key) where pending_email_key is not null;
