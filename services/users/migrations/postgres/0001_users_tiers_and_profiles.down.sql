drop table profiles;
drop table users;
drop table rate_limits;
drop table tiers;
