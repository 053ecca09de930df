drop table email_changes;
alter table sessions drop column assurance;
alter table sessions drop column authenticated_at;
