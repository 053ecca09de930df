-- What takes the place of the payload once the job has ended: the payload without its secrets, where it has some.
alter table jobs add column residue blob;
