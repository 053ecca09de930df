drop table mail_tokens;
drop table mail_requests;
drop table login_attempts;
drop table signing_keys;
drop table revocations;
drop table refresh_tokens;
drop table sessions;
drop table accounts;
