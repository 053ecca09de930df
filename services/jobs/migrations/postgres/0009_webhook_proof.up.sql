-- When the target of a webhook has answered its challenge; null while the webhook is pending. Those from
-- before there was a challenge go on.
alter table webhooks add column proven_at timestamptz;
update webhooks set proven_at = created_at;
