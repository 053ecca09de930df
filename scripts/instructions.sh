#!/usr/bin/env bash
# Counts the instructions, the allocations and the allocated bytes of single operations, and compares
# them with tests/instructions/baseline.txt: a rise of more than 3 % fails. Times wobble with what else
# the machine does, these counts do not. With the argument `accept`, writes the new baseline.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. scripts/needs.sh

has cargo || die "there is no cargo: install Rust from https://rustup.rs"
need cc gcc libc6-dev
need valgrind valgrind
baseline=tests/instructions/baseline.txt
program=${CARGO_TARGET_DIR:-target}/instructions/examples/instructions
if [ -z "${BUILT-}" ]; then
    step "building the operations"
    cargo build -p quartet-gateway --example instructions --profile instructions
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Prints the instructions of the operation $1. Only what the function `counted` does counts: no
# preparation, whose hash tables have other seeds in each run.
refs() {
    valgrind --tool=callgrind --toggle-collect='instructions::counted' --callgrind-out-file=/dev/null \
        "$program" "$1" "$times" 2>"$folder/log" || die "valgrind: $(tail -n 5 "$folder/log")"
    awk -v times="$times" '/Collected :/ && $NF > 0 { print int($NF / times + 0.5); found = 1 } END { exit !found }' \
        "$folder/log" || die "valgrind has not found the function \`counted\` of $program"
}

# Prints name, instructions, allocations and bytes of each operation.
count() {
    local name allocations bytes instructions times=200
    while read -r name allocations bytes; do
        instructions=$(refs "$name")
        echo "$name $instructions $allocations $bytes"
    done <"$folder/allocations"
}

"$program" >"$folder/allocations"
step "counting instructions"
count | tee "$folder/now"
header="# Instructions, allocations and allocated bytes of single operations. Accept: make instructions-accept"
if [ "${1-}" = accept ]; then
    { echo "$header" && cat "$folder/now"; } >"$baseline"
    exit
fi
step "comparing with $baseline"
awk -f scripts/instructions.awk "$baseline" "$folder/now"
