-- The OAuth 2.0 client that a session was issued to; null where none was configured. No other one exchanges its refresh tokens.
alter table sessions add column client_id text;
