-- Mails that went out within the last hour, by which further ones to an address, or for an account, are held back.
create table sent_mails (
    -- Another attempt at a job is the same mail.
    job       uuid primary key,
    -- The address in lower case.
    recipient text collate "C" not null,
    account   uuid,
    sent_at   timestamptz not null
);

create index sent_mails_recipient_idx on sent_mails (recipient, sent_at);
create index sent_mails_account_idx on sent_mails (account, sent_at) where account is not null;
create index sent_mails_sent_idx on sent_mails (sent_at);
