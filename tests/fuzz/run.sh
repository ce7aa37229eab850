#!/bin/sh
# run.sh PROGRAM SECONDS [TARGET]...: fuzzes each target so long. What is found is left in tests/fuzz/found/TARGET, where
# `make test` replays it; inputs that reach new code are kept in build/fuzz/corpus.
program=$1 seconds=$2
shift 2
[ $# -gt 0 ] || set -- image exif safetensors config manifest
export ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1"
result=0
for target in "$@"; do
    corpus=build/fuzz/corpus/$target seeds=tests/fuzz/seeds/$target found=tests/fuzz/found/$target log=build/fuzz/$target.log
    mkdir -p "$corpus" "$found"
    if FUZZ_TARGET=$target "$program" -max_total_time="$seconds" -max_len=100000 -rss_limit_mb=1024 -timeout=10 \
        -artifact_prefix="$found/" -print_final_stats=1 "$corpus" "$seeds" >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "$target: $runs inputs in $seconds s, nothing found"
    else
        echo "$target: a finding:"
        tail -n 40 "$log"
        result=1
    fi
    rmdir "$found" 2>/dev/null
done
rmdir tests/fuzz/found 2>/dev/null
exit $result
