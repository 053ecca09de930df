# Compares counts of operations (second file) with a baseline (first file).
/^#/ { next }
FNR == NR { known[$1] = 1; for (i = 2; i <= 4; i++) before[$1, i] = $i; next }
{
    split("- instructions allocations bytes", what, " ")
    if (!($1 in known)) { printf "%s is not in the baseline\n", $1; failed = 1; next }
    delete known[$1]
    for (i = 2; i <= 4; i++) {
        old = before[$1, i]
        if ($i > old * 1.03) { printf "%s: %s rose from %d to %d\n", $1, what[i], old, $i; failed = 1 }
        else if ($i < old * 0.97) { printf "%s: %s fell from %d to %d\n", $1, what[i], old, $i; fell = 1 }
    }
}
END {
    for (name in known) { printf "%s is in the baseline and was not counted\n", name; failed = 1 }
    if (failed) print "If that is meant to be, accept it: make instructions-accept"
    else if (fell) print "Nothing rose by more than 3 %. Keep what fell: make instructions-accept"
    else print "Nothing rose by more than 3 %."
    exit failed
}
