alter table todos rename column deleted_with_user to departed;
drop index deleted_users_at_idx;
alter table deleted_users rename column deleted_at to departed_at;
alter table deleted_users rename to departed_users;
create index departed_users_at_idx on departed_users (departed_at);

alter table todos add column search text not null default '';
update todos set search = title_key || char(10) || description_key;
alter table todos drop column description_key;

alter table feeds drop column completed;
alter table feeds drop column live;
