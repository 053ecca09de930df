alter table jobs drop column residue;
