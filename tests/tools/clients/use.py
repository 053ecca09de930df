"""Makes a todo with the client that openapi-python-client generates from the description."""

import json
import sys

from quartet_client import AuthenticatedClient
from quartet_client.api.todo import todo_service_create_todo
from quartet_client.models import CreateTodoRequest, Priority, Todo

address, token = sys.argv[1:]
with AuthenticatedClient(base_url=address, token=token) as client:
    body = CreateTodoRequest(title="By a generated client", priority=Priority.PRIORITY_HIGH)
    todo = todo_service_create_todo.sync(client=client, body=body)
assert isinstance(todo, Todo), todo
print(json.dumps({"title": todo.title, "priority": todo.priority.value, "completed": todo.completed}))
