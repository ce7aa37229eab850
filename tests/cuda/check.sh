#!/bin/bash
# The checks of `make check-cuda` on this machine's GPU: check.sh FOLDER-OF-PROGRAMS FOLDER-FOR-RACECHECK. Fresh random
# inputs each time; the seed is printed, and CHECK_SEED repeats it. Curves and logs go to CHECK_OUT (the folder of the
# programs). First the checks by themselves, all at once, CHECK_SECONDS (120) at most, of which the CPU takes most, for what
# they compare with; then some of them under compute-sanitizer (COMPUTE_SANITIZER names another one), all at once,
# CHECK_SANITIZER_SECONDS (120) at most.
#
# racecheck sees small models alone, which take none of the kernels by groups (src/nn/cuda/bulk.h): of these, 2025.3 reports
# races that barriers in shared memory exclude, as it does of cuBLASLt's, and 2026.4 still some. CHECK_RACES=all has it see
# them too, compiled so that it should be able to follow; no GPU has told yet whether it does.
set -uo pipefail
programs=$1 races=$2
sanitizer=${COMPUTE_SANITIZER:-compute-sanitizer}
out=${CHECK_OUT:-$programs}
cores=$(nproc)
export CHECK_SEED="${CHECK_SEED:-$(date +%s)}" CHECK_GROWTH="${CHECK_GROWTH:-7}"
export CHECK_FREE="${CHECK_FREE:-5}" CHECK_STEPS="${CHECK_STEPS:-300}" CHECK_SIDE="${CHECK_SIDE:-32}"
export CHECK_WIDTH="${CHECK_WIDTH:-8}" CHECK_NGF="${CHECK_NGF:-32}" CHECK_CURVES="$out/curves.csv" TEST_TIMES=1
# As in tests/run.sh; and, where cores are many, few threads for a program: barriers of more threads than there are cores
# take longer than all that lies between them.
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}" CHECK_THREADS="${CHECK_THREADS:-$(((cores + 7) / 8))}"
echo "check-cuda: CHECK_SEED=$CHECK_SEED"
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT

# In the background: SECONDS NAME COMMAND... Its output, and at last its status, to a log of that name.
begin() {
    local limit=$1 log=$logs/$2 start=$SECONDS
    shift 2
    (
        timeout "$limit" "$@" >"$log" 2>&1
        echo "status $? after $((SECONDS - start)) s" >>"$log"
    ) &
}
for what in check_module check_ops check_transfers check_effects check_choices check_pictures check_moments check_networks \
    "check_steps one_step" "check_steps joined_steps" "check_steps free_steps" "check_steps recorded_steps" "check_steps the_curve"; do
    case $what in
    check_ops | *the_curve) threads=$((2 * CHECK_THREADS)) ;; # these have the most to compute on the CPU
    *) threads=$CHECK_THREADS ;;
    esac
    # shellcheck disable=SC2086 # a program and perhaps a test
    begin "${CHECK_SECONDS:-120}" "1 $what" env CHECK_THREADS=$threads "$programs"/$what
done
# As a device of eight multiprocessors, which small pictures fill: kernels take other blocks then, and several for each.
few=8
for what in "check_ops wide_convolutions" check_pictures check_moments; do
    # shellcheck disable=SC2086
    begin "${CHECK_SECONDS:-120}" "2 $what, $few multiprocessors" env CHECK_THREADS=$CHECK_THREADS CHECK_MULTIPROCESSORS=$few \
        "$programs"/$what
done
wait
# The device's own view of a small model: reads and writes beside memory, of the least that launches every kernel, races in
# shared memory, and the long training left out: everything runs a hundred times slower.
sanitize() { # TOOL-AND-OPTIONS FOLDER PROGRAM-AND-TEST
    # shellcheck disable=SC2086
    begin "${CHECK_SANITIZER_SECONDS:-120}" "3 ${1%% *} of $3" env CHECK_LITTLE=1 CHECK_GROWTH=1 CHECK_THREADS=1 \
        CHECK_MULTIPROCESSORS=$few "$sanitizer" --tool $1 --error-exitcode 9 "$2"/$3
}
if command -v "$sanitizer" >/dev/null; then
    for what in "check_ops operations" check_transfers check_effects "check_steps one_step"; do
        # Calls that fail are the program's own to tell: a test asks for more memory than there is.
        sanitize "memcheck --report-api-errors no" "$programs" "$what"
        sanitize racecheck "$programs" "$what"
    done
    for what in "check_ops wide_convolutions" "check_ops strided_convolutions_in_large_blocks" check_pictures check_moments; do
        sanitize "memcheck --report-api-errors no" "$programs" "$what"
        [ "${CHECK_RACES:-}" = all ] && sanitize "racecheck --num-cuda-barriers 64" "$races" "$what"
    done
    wait
else
    echo "$sanitizer is not installed: skipped"
fi

failures=0
for log in "$logs"/*; do
    name=$(basename "$log") status=$(tail -n 1 "$log")
    echo "== ${name#* }: $status"
    case "$status" in
    "status 0 "*) grep -E 'off by|passed|ERROR SUMMARY|SUMMARY:|^[a-z0-9_]+: [0-9.]+ s$' "$log" ;;
    "status 124 "*) head -n 40 "$log" && echo "not finished; CHECK_SECONDS and CHECK_SANITIZER_SECONDS give more" ;;
    *) head -n 20 "$log" && echo ... && tail -n 8 "$log" ;;
    esac
    case "$status" in "status 0 "*) ;; *) failures=$((failures + 1)) ;; esac
done
tail -n +1 "$logs"/* >"$out/checks-full.log"
echo "$failures of $(ls "$logs" | wc -l) failed"
exit $((failures > 0))
