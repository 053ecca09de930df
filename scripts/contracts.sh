#!/usr/bin/env bash
# Checks the contracts in proto/: buf's lint rules, and that no change breaks a client of an earlier
# version.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit
. scripts/needs.sh
. scripts/tools.sh
need git git
tools_ready

# The version that clients may use already: the last release, else the merge base with main, else
# the commit before.
baseline() {
    local tag fork
    tag=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null) && { echo "$tag"; return; }
    fork=$(git merge-base HEAD origin/main 2>/dev/null) && [ "$fork" != "$(git rev-parse HEAD)" ] && { echo "$fork"; return; }
    git rev-parse --verify --quiet HEAD~1
}

step "buf lint"
buf lint proto || exit

before=$(baseline)
if [ -z "$before" ] || ! git cat-file -e "$before:proto" 2>/dev/null; then
    step "buf breaking: nothing to compare with, this is the first commit with contracts"
    exit
fi
step "buf breaking, against $(git log -1 --format='%h %s' "$before")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git archive "$before" proto | tar -x -C "$folder" && buf breaking proto --against "$folder/proto"
