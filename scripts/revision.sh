#!/usr/bin/env bash
# Makes the empty files of the next migration: `scripts/revision.sh SERVICE NAME`, such as
# `scripts/revision.sh todos colours`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/needs.sh"

service=${1-} name=${2-}
folder=$root/services/$service/migrations
[ -n "$service" ] && [ -d "$folder" ] || die "usage: scripts/revision.sh auth|users|todos|jobs NAME"
[[ "$name" =~ ^[a-z][a-z0-9_]*$ ]] || die "the name of a migration has lower-case letters, digits and underscores"
newest=$(find "$folder" -name '*.up.sql' -printf '%f\n' | sort | tail -n 1)
number=$(printf '%04d' $((10#${newest%%_*} + 1)))
for database in postgres sqlite; do
    for direction in up down; do
        file=$folder/$database/${number}_$name.$direction.sql
        : >"$file"
        echo "${file#"$root"/}"
    done
done
