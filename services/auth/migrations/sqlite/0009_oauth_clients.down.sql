alter table sessions drop column client_id;
