-- The payload without its secrets. It takes the place of the payload once the job has ended.
alter table jobs rename column residue to redacted_payload;
