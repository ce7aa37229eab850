#!/bin/sh
# Runs the test programs named as arguments, adds up their counts, and closes with "N passed, N failed, N skipped". As many
# at once as there are cores (TEST_JOBS): most of them keep one busy. What they print comes in the order of the arguments.
# As src/cli/main.c has it: on a machine with other work, OpenMP's spinning makes the tests several times slower.
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"
outputs=$(mktemp -d) || exit 1
trap 'rm -rf "$outputs"' EXIT
# shellcheck disable=SC2016 # for the shells that run them
printf '%s\n' "$@" | awk '{ printf "%s\n%s\n", NR, $0 }' | xargs -n 2 -P "${TEST_JOBS:-$(nproc)}" sh -c '
    "$3" >"$1/$2" 2>&1
    echo $? >"$1/$2.status"
' sh "$outputs"
passed=0 failed=0 skipped=0 number=0
for program in "$@"; do
    number=$((number + 1))
    output=$(cat "$outputs/$number")
    status=$(cat "$outputs/$number.status")
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
