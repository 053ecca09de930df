-- When the account last changed of those whose fields the row has copied; null until it is told. What is told late of an older account is
-- not copied over a newer one.
alter table users add column account_at integer;
