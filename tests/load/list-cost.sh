#!/usr/bin/env bash
# CPU time of PostgreSQL per first page of 20 todos, for an owner of 100 and one of 100,000, and per
# count of all rows, which such a page took before totals were kept: user and system time of the
# backend that pgbench talks to, over its transactions. Starts a PostgreSQL of its own.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit
. scripts/needs.sh
. scripts/servers/postgres.sh
folder=$(mktemp -d)
trap 'postgres_stop; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
postgres_start >&2
psql -q "$TEST_POSTGRES_URL" -c 'create database list_cost'
database=${TEST_POSTGRES_URL%/*}/list_cost
for file in services/todos/migrations/postgres/*.up.sql; do
    psql -q "$database" -f "$file" >/dev/null
done
owner() { echo "'00000000-0000-7000-8000-00000000000$1'::uuid"; }

# $1: the owner; $2: how many todos they have.
fill() {
    psql -q "$database" <<SQL
insert into todos (id, user_id, title, priority, title_key, description_key, created_at, updated_at)
select gen_random_uuid(), $(owner "$1"), 'Todo ' || n, 0, 'todo ' || n, '', now() + n * interval '1 ms', now()
  from generate_series(1, $2) as n;
insert into tags values (gen_random_uuid(), $(owner "$1"), 'home', now(), now());
insert into todo_tags
select todos.id, tags.id from todos join tags using (user_id) where user_id = $(owner "$1") and random() < 0.3;
insert into feeds (user_id, head, live, completed) values ($(owner "$1"), $2, $2, 0);
SQL
}
fill 1 100
fill 2 100000
psql -q "$database" -c 'vacuum analyze'

for n in 1 2; do
    tr '\n' ' ' >"$folder/list-$n" <<SQL
select id, user_id, title, description, completed_at, due_at, priority, created_at, updated_at, deleted_at,
       (select json_agg(json_build_array(tags.id, tags.name) order by tags.name)
          from todo_tags join tags on tags.id = todo_tags.tag_id
         where todo_tags.todo_id = todos.id) as tags,
       (select live from feeds where user_id = $(owner $n)) as total
  from todos
 where user_id = $(owner $n) and deleted_at is null
 order by created_at desc, id desc limit 21 offset 0;
SQL
    echo "select count(*) from todos where user_id = $(owner $n) and deleted_at is null;" >"$folder/count-$n"
done

# $1: what is measured; $2: the file of the statement; $3: how many transactions.
measure() {
    local ticks=0 now pid bench
    pgbench -n -M prepared -f "$folder/$2" -t "$3" "$database" >"$folder/out" 2>&1 &
    bench=$!
    while kill -0 "$bench" 2>/dev/null; do
        pid=$(psql -At "$database" -c "select pid from pg_stat_activity where application_name = 'pgbench'")
        now=$(awk '{ print $14 + $15 }' "/proc/${pid:-none}/stat" 2>/dev/null) && ticks=$now
        sleep 0.05
    done
    awk -v what="$1" -v ticks="$ticks" -v hertz="$(getconf CLK_TCK)" -v n="$3" \
        'BEGIN { printf "%-28s %8.1f µs\n", what, ticks / hertz * 1e6 / n }'
}
for _ in 1 2 3; do
    measure "list of 20, 100 todos" list-1 20000
    measure "list of 20, 100,000 todos" list-2 20000
done
measure "count, 100 todos" count-1 20000
measure "count, 100,000 todos" count-2 300
