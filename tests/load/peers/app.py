"""Three routes of the todos service by FastAPI and asyncpg, on the same tables: a peer of `make bench`.

Made with care, and without what the product adds: no gRPC between, no events, no limits, no traces, no
log. One prepared statement for each reply, rows written by orjson straight to bytes, tokens verified once and
remembered.
"""

import contextlib
import os
import uuid
from datetime import datetime

import asyncpg
import jwt
import orjson
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field

PRIORITIES = ["PRIORITY_NONE", "PRIORITY_LOW", "PRIORITY_MEDIUM", "PRIORITY_HIGH"]
COLUMNS = """
    id, user_id, title, description, completed_at, due_at, priority, created_at, updated_at, deleted_at,
    (select json_agg(json_build_object('id', tags.id, 'name', tags.name) order by tags.name)
       from todo_tags join tags on tags.id = todo_tags.tag_id
      where todo_tags.todo_id = todos.id)::text as tags
"""
GET = f"select {COLUMNS} from todos where id = $1 and user_id = $2 and deleted_at is null"
LIST = f"""
    select {COLUMNS}, (select live from feeds where user_id = $1) as total
      from todos where user_id = $1 and deleted_at is null
     order by created_at desc, id desc limit $2 offset $3
"""
CREATE = """
    insert into todos
        (id, user_id, title, description, due_at, priority, title_key, description_key, created_at, updated_at)
    values ($1, $2, $3, $4, $5, $6, lower($3), lower(coalesce($4, '')), now(), now())
    returning created_at
"""


@contextlib.asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=10) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
verified = {}


async def user(request: Request) -> uuid.UUID:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    known = verified.get(token)
    if known is None:
        if scheme.lower() != "bearer":
            raise HTTPException(401)
        try:
            claims = jwt.decode(token, os.environ["TOKEN_SECRET"], algorithms=["HS256"], options={"require": ["exp"]})
        except jwt.InvalidTokenError:
            raise HTTPException(401) from None
        known = verified[token] = (uuid.UUID(claims["sub"]), claims["exp"])
        if len(verified) > 100_000:
            verified.clear()
    if known[1] <= datetime.now().timestamp():
        raise HTTPException(401)
    return known[0]


def todo(row):
    return {
        "id": str(row["id"]),
        "title": row["title"],
        "description": row["description"],
        "completed": row["completed_at"] is not None,
        "completed_at": row["completed_at"],
        "due_at": row["due_at"],
        "priority": PRIORITIES[row["priority"]],
        "tags": orjson.Fragment(row["tags"]) if row["tags"] else [],
        "user_id": str(row["user_id"]),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "deleted_at": row["deleted_at"],
        "etag": str(int(row["updated_at"].timestamp() * 1_000_000)),
    }


def reply(value, status=200, headers=None):
    body = orjson.dumps(value, option=orjson.OPT_UTC_Z)
    return Response(body, status, headers, "application/json")


class NewTodo(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(None, max_length=10_000)
    due_at: datetime | None = None
    priority: str = "PRIORITY_NONE"


@app.get("/livez")
async def livez():
    return Response()


@app.get("/api/v1/todos/{todo_id}")
async def get_todo(todo_id: uuid.UUID, request: Request, owner: uuid.UUID = Depends(user)):
    async with request.app.state.pool.acquire() as connection:
        row = await connection.fetchrow(GET, todo_id, owner)
    if row is None:
        raise HTTPException(404)
    return reply(todo(row))


@app.get("/api/v1/todos")
async def list_todos(
    request: Request,
    page: int = Query(1, ge=1),
    items_per_page: int = Query(20, ge=1, le=100),
    owner: uuid.UUID = Depends(user),
):
    async with request.app.state.pool.acquire() as connection:
        rows = await connection.fetch(LIST, owner, items_per_page + 1, (page - 1) * items_per_page)
    has_more = len(rows) > items_per_page
    return reply(
        {
            "data": [todo(row) for row in rows[:items_per_page]],
            "total_count": rows[0]["total"] if rows else 0,
            "has_more": has_more,
            "page": page,
            "items_per_page": items_per_page,
        }
    )


@app.post("/api/v1/todos")
async def create_todo(new: NewTodo, request: Request, owner: uuid.UUID = Depends(user)):
    if new.priority not in PRIORITIES:
        raise HTTPException(422)
    todo_id, priority = uuid.uuid4(), PRIORITIES.index(new.priority)
    async with request.app.state.pool.acquire() as connection:
        at = await connection.fetchval(CREATE, todo_id, owner, new.title, new.description, new.due_at, priority)
    row = {
        "id": todo_id, "user_id": owner, "title": new.title, "description": new.description, "completed_at": None,
        "due_at": new.due_at, "priority": priority, "created_at": at, "updated_at": at, "deleted_at": None,
        "tags": None,
    }
    return reply(todo(row), 201, {"location": f"/api/v1/todos/{todo_id}"})
