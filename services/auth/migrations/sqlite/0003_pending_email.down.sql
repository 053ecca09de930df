drop index accounts_pending_email_idx;
alter table accounts drop column pending_email_key;
alter table accounts drop column pending_email;
delete from mail_requests where purpose in ('email_change', 'email_change_notice');
delete from mail_tokens where purpose in ('email_change', 'email_change_notice');
