drop table changes;
drop table feeds;
