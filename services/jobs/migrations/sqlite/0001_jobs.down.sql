drop table webhooks;
drop table schedules;
drop table queues;
drop table jobs;
