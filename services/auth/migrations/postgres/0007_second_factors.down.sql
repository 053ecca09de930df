drop table second_factors;
