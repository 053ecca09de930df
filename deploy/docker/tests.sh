#!/bin/bash
# The end-to-end tests against a running system: `tests [FILTER…]`, each filter a part of a name, or
# an option of the test program, such as `--show-output`.
# The tests that cannot run there, since they kill programs, read their logs or need settings of
# their own, are counted and named at the end.
set -uo pipefail

all=$(e2e --list --format terse | sed -n 's/: test$//p')
chosen=$(grep -E '(^|::)composed::' <<<"$all")
options=()
for filter in "$@"; do
    case "$filter" in --*) options+=("$filter"); continue ;; esac
    chosen=$(grep -F -- "$filter" <<<"$chosen")
done
[ -n "$chosen" ] || { echo "no test has such a name" >&2; exit 2; }

output=$(mktemp)
mapfile -t names <<<"$chosen"
e2e --ignored --exact --test-threads="${TEST_THREADS:-4}" "${options[@]}" "${names[@]}" 2>&1 | tee "$output"
status=$?

# Names without the topology.
plain() { sed -E 's/(^|::)(embedded|distributed|composed)::/\1/' | sort -u; }
skipped=$(comm -23 <(plain <<<"$all") <(grep -E '(^|::)composed::' <<<"$all" | plain))
echo
awk '/^test result: / { passed += $4; failed += $6 } END { printf "%d passed, %d failed, ", passed, failed }' "$output"
if [ -z "$skipped" ]; then
    echo "none skipped"
else
    printf '%d skipped, which need a suite of their own:\n%s\n' "$(wc -l <<<"$skipped")" "$skipped"
fi
exit $status
