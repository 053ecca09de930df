-- Mails are requested by events. A request that waits in mail_requests when this runs is dropped: who
-- made it may make it again. An older version of the service empties the table as long as it runs
-- beside the jobs service.
drop table mail_requests;

-- The request that the token was drawn for: one token at a time for each.
alter table mail_tokens add column request_id uuid;
-- When it was used, or voided. It is kept for a while, so that no request gets a second one.
alter table mail_tokens add column used_at timestamptz;
-- A token is drawn when its mail is sent, so created_at is when.
alter table mail_tokens drop column sent_at;

create unique index mail_tokens_request_key on mail_tokens (request_id);
