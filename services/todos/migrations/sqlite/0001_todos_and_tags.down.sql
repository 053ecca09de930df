drop table todo_tags;
drop table tags;
drop table todos;
