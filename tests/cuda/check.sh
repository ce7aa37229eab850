#!/bin/bash
# The checks of `make check-cuda` on this machine's GPU: check.sh FOLDER-OF-PROGRAMS. Fresh random inputs each time; the
# seed is printed, and CHECK_SEED repeats it. Curves and logs go to CHECK_OUT (the folder of the programs). All run at
# once, CHECK_SECONDS (120) at most: most of their time is the CPU's, for what they compare with.
set -uo pipefail
programs=$1
out=${CHECK_OUT:-$programs}
limit=${CHECK_SECONDS:-120}
export CHECK_SEED="${CHECK_SEED:-$(date +%s)}" CHECK_GROWTH="${CHECK_GROWTH:-7}"
export CHECK_FREE="${CHECK_FREE:-5}" CHECK_STEPS="${CHECK_STEPS:-300}" CHECK_SIDE="${CHECK_SIDE:-32}"
export CHECK_WIDTH="${CHECK_WIDTH:-8}" CHECK_CURVES="$out/curves.csv"
# As in tests/run.sh; and a few threads for each program.
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-$((($(nproc) + 3) / 4))}"
echo "check-cuda: CHECK_SEED=$CHECK_SEED"
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT

# In the background: NAME COMMAND... Its output, and at last its status, to a log of that name.
begin() {
    local log=$logs/$1
    shift
    (
        timeout "$limit" "$@" >"$log" 2>&1
        echo "status $? after $SECONDS s" >>"$log"
    ) &
}
for program in check_module check_ops check_effects check_steps check_choices check_pictures; do
    begin "$program" "$programs/$program"
done
# The device's own view of a small model: reads and writes beside memory, races in shared memory. Inputs are small, and
# the long training is left out: everything runs a hundred times slower.
if command -v compute-sanitizer >/dev/null; then
    # Calls that fail are the program's own to tell: a test asks for more memory than there is.
    for tool in "memcheck --report-api-errors no" racecheck; do
        for what in "check_ops operations_in_bf16" "check_ops wide_convolutions" check_effects check_pictures \
            "check_steps one_step"; do
            begin "${tool%% *} of $what" env CHECK_GROWTH=1 CHECK_FREE=2 OMP_NUM_THREADS=1 compute-sanitizer --tool $tool \
                --error-exitcode 9 "$programs"/$what
        done
    done
else
    echo "compute-sanitizer is not installed: skipped"
fi
wait

failures=0
for log in "$logs"/*; do
    name=$(basename "$log") status=$(tail -n 1 "$log")
    echo "== $name: $status"
    case "$status" in
    "status 0 "*) grep -E 'off by|passed|ERROR SUMMARY|SUMMARY:' "$log" ;;
    "status 124 "*) echo "not finished after $limit s; CHECK_SECONDS gives it more" ;;
    *) head -n 20 "$log" && echo ... && tail -n 8 "$log" ;;
    esac
    case "$status" in "status 0 "*) ;; *) failures=$((failures + 1)) ;; esac
done
cat "$logs"/* >"$out/checks-full.log"
echo "$failures of $(ls "$logs" | wc -l) failed"
exit $((failures > 0))
