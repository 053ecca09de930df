-- The name of a tag as it is compared: in lower case, in any script. A database lowers ASCII letters at best, so
-- the service writes it. Null until it has done so: in rows from before, and in those that a program of the
-- version before makes while both are running. The service gives a new name to the later one of two tags that
-- differ by case alone.
alter table tags add column name_key text;
create unique index tags_user_name_key_idx on tags (user_id, name_key);
create index tags_unkeyed_idx on tags (created_at, id) where name_key is null;
