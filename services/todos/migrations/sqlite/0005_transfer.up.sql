-- What the suite's own work looks for, over everybody's todos: those that are due soon, and those that were deleted long ago.
create index todos_due_idx on todos (due_at, id) where deleted_at is null and completed_at is null and due_at is not null;
create index todos_deleted_idx on todos (deleted_at) where deleted_at is not null;
