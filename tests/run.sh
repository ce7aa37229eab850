#!/bin/sh
# Runs the test programs named as arguments, adds up their counts, and closes with "N passed, N failed, N skipped".
# As src/cli/main.c has it: on a machine with other work, OpenMP's spinning makes the tests several times slower.
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"
passed=0 failed=0 skipped=0
for program in "$@"; do
    output=$("$program" 2>&1)
    status=$?
    counts=$(printf '%s\n' "$output" | sed -n 's/^[^ ]*: \([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' | tail -n 1)
    if [ -z "$counts" ]; then # it ended before its last line: a crash, or a sanitizer's report
        printf '%s\n%s: ended with status %d before its summary\n' "$output" "$program" "$status"
        failed=$((failed + 1))
        continue
    fi
    printf '%s\n' "$output"
    set -- $counts
    if [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then # a sanitizer's report at exit, say a leak
        printf '%s: status %d\n' "$program" "$status"
        failed=$((failed + 1))
    fi
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
