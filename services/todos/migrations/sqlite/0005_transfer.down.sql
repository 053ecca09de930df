drop index todos_deleted_idx;
drop index todos_due_idx;
