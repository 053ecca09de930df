drop index tags_unkeyed_idx;
drop index tags_user_name_key_idx;
alter table tags drop column name_key;
