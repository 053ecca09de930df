drop index mail_tokens_request_key;
delete from mail_tokens where used_at is not null;
alter table mail_tokens drop column used_at;
alter table mail_tokens drop column request_id;
alter table mail_tokens add column sent_at integer;

-- Mails that were requested, known address or not, until they are made and sent. One of a kind per
-- address.
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
