alter table todos drop column departed;
drop table departed_users;
