drop table purged_users;
