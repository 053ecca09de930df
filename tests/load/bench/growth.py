"""Owners of 10³ to 10⁶ todos, written with SQL."""

import sqlite3
import time
import uuid

from suites import psql


def postgres(database, user_id, count):
    """Gives a user so many todos more, and returns the ids of some."""
    psql(
        database,
        "insert into todos (id, user_id, title, priority, title_key, description_key, created_at, updated_at) "
        f"select gen_random_uuid(), '{user_id}', 'Todo ' || n, 0, 'todo ' || n, '', now() + n * interval '1 us', now() "
        f"from generate_series(1, {count}) as n",
        f"insert into feeds (user_id, head, live, completed) values ('{user_id}', {count}, {count}, 0) "
        "on conflict (user_id) do update set live = feeds.live + excluded.live",
    )
    return psql(
        database, f"select id from todos where user_id = '{user_id}' and deleted_at is null order by id limit 200"
    )


def sqlite(path, owners):
    """The same for `owners`, pairs of a user's id and a count, in the file of a suite that does not run."""
    connection, ids = sqlite3.connect(path, isolation_level=None), []
    connection.execute("pragma synchronous = off")
    now = int(time.time() * 1_000_000)
    for user_id, count in owners:
        owner = uuid.UUID(user_id).bytes
        connection.execute("begin immediate")
        connection.execute(
            "with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ?2) "
            "insert into todos (id, user_id, title, priority, title_key, description_key, created_at, updated_at) "
            "select randomblob(16), ?1, 'Todo ' || n, 0, 'todo ' || n, '', ?3 + n, ?3 from numbers",
            (owner, count, now),
        )
        connection.execute(
            "insert into feeds (user_id, head, live, completed) values (?1, ?2, ?2, 0) "
            "on conflict (user_id) do update set live = live + excluded.live",
            (owner, count),
        )
        connection.execute("commit")
        found = connection.execute("select id from todos where user_id = ?1 order by id limit 200", (owner,))
        ids.append([str(uuid.UUID(bytes=row[0])) for row in found])
    connection.execute("analyze")
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    return ids
