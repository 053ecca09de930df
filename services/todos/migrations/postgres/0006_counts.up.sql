-- How many todos an owner has, and how many of them are done: lists show it without counting. Every write
-- locks the owner's row in any case.
alter table feeds add column live bigint not null default 0;
alter table feeds add column completed bigint not null default 0;

insert into feeds (user_id, head, live, completed)
select user_id, 0, count(*), count(completed_at)
  from todos
 where deleted_at is null
 group by user_id
on conflict (user_id) do update set live = excluded.live, completed = excluded.completed;

-- The description as searches compare it, beside the title's: a write of one of the two need not know the
-- other.
alter table todos add column description_key text collate "C" not null default '';
update todos set description_key = substr(search, length(title_key) + 2) where description is not null;
alter table todos drop column search;

-- The field's words.
alter table departed_users rename to deleted_users;
alter table deleted_users rename column departed_at to deleted_at;
drop index departed_users_at_idx;
create index deleted_users_at_idx on deleted_users (deleted_at);
alter table todos rename column departed to deleted_with_user;
