#!/bin/bash
# The checks of `make check-cuda` on this machine's GPU: check.sh FOLDER-OF-PROGRAMS. Fresh random inputs each time; the
# seed is printed, and CHECK_SEED repeats it. Curves and logs go to CHECK_OUT (the folder of the programs).
set -uo pipefail
programs=$1
out=${CHECK_OUT:-$programs}
export CHECK_SEED="${CHECK_SEED:-$(date +%s)}" CHECK_GROWTH="${CHECK_GROWTH:-7}"
export CHECK_FREE="${CHECK_FREE:-5}" CHECK_STEPS="${CHECK_STEPS:-300}" CHECK_SIDE="${CHECK_SIDE:-32}"
export CHECK_WIDTH="${CHECK_WIDTH:-8}" CHECK_CURVES="$out/curves.csv"
echo "check-cuda: CHECK_SEED=$CHECK_SEED"
tests/run.sh "$programs"/check_module "$programs"/check_ops "$programs"/check_pictures "$programs"/check_effects \
    "$programs"/check_steps "$programs"/check_choices
status=$?

# The device's own view of a small model: reads and writes beside memory, races in shared memory. Inputs are small, and
# the long training is left out: everything runs a hundred times slower.
limit=${CHECK_SECONDS:-120}
sanitized() {
    local tool=$1 program=$2 name log
    shift 2
    name="$(basename "$program") under compute-sanitizer $tool"
    log="$out/sanitizer.log"
    echo "== $name" >>"$log"
    CHECK_GROWTH=1 CHECK_FREE=2 timeout "$limit" compute-sanitizer --tool "$tool" --error-exitcode 9 "$program" "$@" \
        >>"$log" 2>&1
    local ended=$?
    if [ $ended -eq 0 ]; then
        echo "$name: no complaints"
    elif [ $ended -eq 124 ]; then
        echo "$name: not finished after $limit s; CHECK_SECONDS gives it more"
        status=1
    else
        echo "$name: complaints; the end of $log:"
        tail -n 20 "$log"
        status=1
    fi
}

if command -v compute-sanitizer >/dev/null; then
    : >"$out/sanitizer.log"
    for tool in memcheck racecheck; do
        sanitized "$tool" "$programs/check_ops" fp32
        sanitized "$tool" "$programs/check_effects"
        sanitized "$tool" "$programs/check_steps" one_step
    done
else
    echo "compute-sanitizer is not installed: skipped"
fi
exit $status
