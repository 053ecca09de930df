alter table jobs rename column redacted_payload to residue;
