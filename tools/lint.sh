#!/bin/bash
# make lint: warnings as errors, cppcheck, the include table, and the habits that a pattern can check.
set -euo pipefail
cd "$(dirname "$0")/.."

failures=0
jobs=$(nproc)
complain() {
    printf '%s\n' "$*"
    failures=$((failures + 1))
}
# An own make, not one job of the caller's.
make() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory "$@"; }

mapfile -t sources < <(find src tests -name '*.c' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' | sort)
mapfile -t library < <(printf '%s\n' "${sources[@]}" | grep '^src/')

compile() {
    # -O1 finds what needs flow analysis (uninitialised variables); one instruction set is enough.
    make -s -k -j"$jobs" BUILD=build/lint WERROR=1 CFLAGS=-O1 ISAS=base \
        build/lint/libcyclegan.a build/lint/src/cli/main.o emulated || complain "lint: the sources do not compile without warnings"
    if command -v nvcc >/dev/null; then
        local said
        said=$(make -s -j"$jobs" BUILD=build/lint WERROR=1 build/lint/cyclegan-cuda.so 2>&1) ||
            complain "$said" "lint: the CUDA backend does not compile without warnings"
        # Products one by one, each waited for: right, and several times as slow. What is compiled already says it no more.
        if grep 'wgmma.*serialized' <<<"$said"; then
            complain "lint: products of the CUDA backend are serialized"
            rm -r build/lint/src/nn/cuda
        fi
    fi
    local flags
    # shellcheck disable=SC2016 # make expands it
    flags=$(make -s BUILD=build/lint WERROR=1 CFLAGS= --eval='flags: ; @echo $(filter-out -MMD -MP,$(ALL_CFLAGS))' flags)
    # shellcheck disable=SC2086 # the flags are words
    find tests -name '*.c' -print0 | xargs -0 -P "$jobs" -n 1 "${CC:-cc}" $flags -Itests -fsyntax-only ||
        complain "lint: the tests do not compile without warnings"
}

static_analysis() {
    if ! command -v cppcheck >/dev/null; then
        echo "lint: cppcheck is not installed: skipped"
        return
    fi
    mkdir -p build/cppcheck
    # ctuuninitvar takes a buffer that the callee fills for one that it reads; invalidPointerCast is how kernels share
    # untyped scratch memory.
    cppcheck --quiet -j "$jobs" --cppcheck-build-dir=build/cppcheck --std=c11 --language=c -Isrc -D__x86_64__ \
        -DCPU_ISA=base -D_POSIX_C_SOURCE=200809L --enable=warning,performance,portability --inline-suppr \
        --suppress=missingIncludeSystem --suppress=ctuuninitvar --suppress=invalidPointerCast \
        --template='{file}:{line}:{column}: {severity}: {message} [{id}]' \
        --error-exitcode=1 src || complain "lint: cppcheck has complaints"
}

# Reads the table into may[folder] and, in its order, patterns with their places.
declare -A may
patterns=() places=()
read_table() {
    local key rest
    while read -r key rest; do
        case $key in
        '' | \#*) ;;
        \<*\>) patterns+=("${key:1:-1}") places+=("$rest") ;;
        *:) may[${key%:}]=" $rest " ;;
        *) complain "tools/include_table.txt: cannot read '$key $rest'" ;;
        esac
    done <tools/include_table.txt
}

# Whether file $1 (below src/) may include header $2 of another library, by the first pattern that fits.
library_allowed() {
    local i place
    for i in "${!patterns[@]}"; do
        # shellcheck disable=SC2053 # the right side is a pattern
        [[ $2 == ${patterns[i]} ]] || continue
        for place in ${places[i]}; do
            [[ $1 != "$place"* ]] || return 0
        done
        return 1
    done
}

include_table() {
    local file line text header from to
    read_table
    while IFS=: read -r file line text; do
        file=${file#src/}
        from=${file%%/*}
        [[ $text =~ [\<\"]([^\>\"]+)[\>\"] ]] || continue # a macro names the header
        header=${BASH_REMATCH[1]}
        to=${header%%/*}
        if [ -z "${may[$from]+known}" ]; then
            complain "src/$file:$line: the folder '$from' is not in tools/include_table.txt"
        elif [[ $header == *..* ]]; then
            complain "src/$file:$line: name '$header' from src/, without '..'"
        elif [ "$to" != "$header" ] && { [ -n "${may[$to]+known}" ] || [ -d "src/$to" ]; }; then
            [[ $from == "$to" || ${may[$from]} == *" $to "* || ${may[$from]} == *" * "* ]] ||
                complain "src/$file:$line: '$from' may not include '$header' (tools/include_table.txt)"
        elif ! library_allowed "$file" "$header"; then
            complain "src/$file:$line: <$header> may not appear here (tools/include_table.txt)"
        fi
    done < <(grep -HnE '^[[:space:]]*#[[:space:]]*include' "${library[@]}")
}

# The code of the files named, as FILE:LINE:TEXT, with comments and what stands between quotes left out.
code() {
    perl -0777 -ne '
        s{("(?:\\.|[^"\\\n])*")|(\x27(?:\\.|[^\x27\\\n])*\x27)|/\*.*?\*/|//[^\n]*}{
            my $lines = $& =~ tr/\n//; (defined $1 ? "\"\"" : defined $2 ? "0" : " ") . "\n" x $lines }gse;
        my $number = 0;
        print "$ARGV:" . ++$number . ":$_\n" for split /\n/;' "$@"
}

habits() {
    local found file lines
    found=$(code "${library[@]}" | grep -v '^src/cli/' |
        grep -E '[^A-Za-z0-9_](_?exit|_Exit|quick_exit|abort|assert|printf|puts|putchar|perror)[[:space:]]*\(|[^A-Za-z0-9_](stdout|stderr)[^A-Za-z0-9_]' || true)
    [ -z "$found" ] || complain "$found"$'\n'"lint: only src/cli exits or prints"
    for file in "${sources[@]}"; do
        lines=$(wc -l <"$file")
        [ "$lines" -le 800 ] || complain "$file: $lines lines; past 800 it is two files"
    done
    # Comments may name the flags that are not used.
    found=$(sed 's/#.*//' Makefile | grep -nE 'fast-math|Ofast|finite-math|unsafe-math|associative-math|use_fast_math' || true)
    [ -z "$found" ] || complain "Makefile:$found"$'\n'"lint: no fast-math flags: checks for NaN would stop working"
    found=$(perl -0777 -pe 's{/\*.*?\*/}{"\n" x ($& =~ tr/\n//)}gse' "${library[@]}" |
        grep -E 'fast-math|finite-math|unsafe-math|associative-math' || true)
    [ -z "$found" ] || complain "$found"$'\n'"lint: no fast-math pragmas or attributes"
}

compile
static_analysis
include_table
habits
if [ "$failures" -gt 0 ]; then
    echo "lint: $failures complaints"
    exit 1
fi
echo "lint: ${#sources[@]} files, no complaints"
