#!/bin/bash
# All that needs a GPU, in one call: builds, checks, measures, and leaves its records in a folder.
#
#   tools/gpu_check.sh FOLDER [MINUTES] [check|bench]      MINUTES: of measuring; 4. The last: that part alone
#
# Needs gcc, make and nvcc; for the comparison a python3 with PyTorch. None of the program's other libraries.
set -uo pipefail
[ $# -ge 1 ] || { sed -n '2,6p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2; }
out=$(mkdir -p "$1" && cd "$1" && pwd) || exit 1
minutes=${2:-4}
part=${3:-both}
case "$part" in check | bench | both) ;; *) echo "gpu_check.sh: expected check or bench, found '$part'" >&2 && exit 2 ;; esac
cd "$(dirname "$0")/.." || exit 1
failures=0
step() { # LOG COMMAND...: tells how it ended
    local log=$1
    shift
    local begin=$SECONDS
    if "$@" >"$out/$log" 2>&1; then
        echo "$log: good, $((SECONDS - begin)) s"
    else
        echo "$log: FAILED (status $?), $((SECONDS - begin)) s; its end:"
        tail -n 15 "$out/$log"
        failures=$((failures + 1))
    fi
}

nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader 2>/dev/null | tee "$out/device.txt"
arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
arguments=(${arch:+CUDA_ARCH=$arch})
step build.log make -j"$(nproc)" "${arguments[@]}" build-cuda
if command -v cuobjdump >/dev/null && [ -e build/gpu/cyclegan-cuda.so ]; then
    cuobjdump --dump-resource-usage build/gpu/cyclegan-cuda.so 2>/dev/null | grep -A 1 Function >"$out/resources.txt"
    echo "kernels: $(grep -c Function "$out/resources.txt"), with local memory: $(grep -cE 'LOCAL:[1-9]|STACK:[1-9]' "$out/resources.txt")"
fi
# torch.compile's minutes pass beside the checks, which are the CPU's work for the most part. Of what is reported nothing is
# timed meanwhile; but Inductor tries some of its kernels in two or more forms then, and may keep the slower one.
checked=$(mktemp -u)
bench=
trap '[ -z "$bench" ] || kill "$bench" 2>/dev/null; rm -f "$checked"' EXIT # a script's background jobs ignore Ctrl-C
trap 'exit 130' INT
trap 'exit 143' TERM
if [ "$part" != check ]; then
    BENCH_BEGIN=$checked BENCH_OUT=$out BENCH_SECONDS=$((minutes * 60)) \
        BENCH_PREPARE_SECONDS="${BENCH_PREPARE_SECONDS:-300}" bench/gpu/compare.py build/gpu/bench_gpu >"$out/bench.log" 2>&1 &
    bench=$!
fi
[ "$part" = bench ] || CHECK_OUT="$out" step check.log make "${arguments[@]}" check-cuda
[ "$part" = check ] && exit $((failures > 0))
touch "$checked"
wait "$bench" || failures=$((failures + 1))
bench=
cat "$out/bench.log"
# Where a step's time goes, where CUPTI is there to tell.
if gcc -shared -fPIC -O1 -I/usr/local/cuda/include -o build/gpu/kernels.so bench/gpu/kernels.c -L/usr/local/cuda/lib64 \
    -lcupti 2>"$out/kernels.txt"; then
    LD_LIBRARY_PATH=/usr/local/cuda/lib64 CUDA_INJECTION64_PATH=$PWD/build/gpu/kernels.so KERNELS_OUT=$out/kernels.txt \
        KERNELS_REPLAYS=40 step kernels.log build/gpu/bench_gpu step 256 resnet_9blocks 64 64 transpose 1 bf16 15
fi
exit $((failures > 0))
