alter table webhooks drop column proven_at;
