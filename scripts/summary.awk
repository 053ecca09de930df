# Summarises the output of test runners: a line per part and, last, the sum of all.
#   cargo: `     Running tests/store.rs (target/debug/deps/store-0123456789abcdef)` begins a part, and
#   `test result: …` has its counts.
#   others: a line `@part NAME PASSED FAILED SKIPPED`.

function add(part, p, f, s) {
    if (!(part in passed)) order[++parts] = part
    passed[part] += p; failed[part] += f; skipped[part] += s
    all_passed += p; all_failed += f; all_skipped += s
}

/^ +Running .*\(.*\)$/ {
    part = $NF
    gsub(/^.*\/|-[0-9a-f]+\)$/, "", part)
    place = $0
    sub(/^ +Running (unittests )?/, "", place); sub(/ \(.*$/, "", place)
    # Unit tests have the name of their crate; those of a tests folder only that of a file, so their path is
    # added.
    part = place ~ /^src\// ? part : part " (" place ")"
}
/^ +Doc-tests / { part = $2 " (examples)" }
/^test result: / {
    for (i = 4; i < NF; i++) {
        word = $(i + 1)
        if (word ~ /^passed/) p = $i
        if (word ~ /^failed/) f = $i
        if (word ~ /^ignored/) s = $i
    }
    if (p + f + s > 0) add(part, p, f, s)
    else add("", 0, 0, 0)
}
/^@part / { add($2, $3, $4, $5) }

END {
    for (i = 1; i <= parts; i++) {
        part = order[i]
        if (part != "") printf "  %-44s %5d passed %5d failed %5d skipped\n", part, passed[part], failed[part], skipped[part]
    }
    printf "\n%d passed, %d failed", all_passed, all_failed
    if (all_skipped) printf ", %d skipped", all_skipped
    print ""
    exit all_failed > 0
}
