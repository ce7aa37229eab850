#!/bin/bash
# Installs the Debian packages that building and testing need, when some are missing. Says nothing when all are there.
set -euo pipefail

# One need a line: packages of which any will do (the first is installed), then what it is for.
needs='
gcc                                        C compiler
make                                       make
libc6-dev                                  C library headers
libdnnl-dev                                oneDNN (libdnnl): convolutions on the CPU
libyaml-dev                                libyaml: configs
libjansson-dev                             jansson: JSON of checkpoints and logs
libpng-dev                                 libpng: PNG pictures
libjpeg62-turbo-dev|libjpeg-turbo8-dev     libjpeg-turbo: JPEG pictures
libwebp-dev                                libwebp: WebP pictures
'

if ! command -v dpkg-query >/dev/null; then
    echo "packages.sh: no dpkg here; expected to be installed with their headers:" >&2
    sed -n 's/^[^ ]\{1,\}  */    /p' <<<"$needs" >&2
    exit 0
fi

installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

missing=()
while read -r packages _; do
    [ -n "$packages" ] || continue
    IFS='|' read -ra alternatives <<<"$packages"
    found=
    for package in "${alternatives[@]}"; do
        if installed "$package"; then found=yes; fi
    done
    [ -n "$found" ] || missing+=("$packages")
done <<<"$needs"
[ ${#missing[@]} -gt 0 ] || exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        root=(sudo -n)
    else
        root=(none)
    fi
fi
if [ "${root[*]}" = none ] || ! command -v apt-get >/dev/null; then
    echo "packages.sh: missing Debian packages; install them as root:" >&2
    echo "    apt-get install ${missing[*]%%|*}" >&2
    exit 1
fi

echo "packages.sh: installing ${missing[*]%%|*}" >&2
# The log is shown only when it is needed to understand a failure.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive "$@" >>"$log" 2>&1
}
run apt-get update || true # lists that are there already may do
choices=()
for packages in "${missing[@]}"; do
    IFS='|' read -ra alternatives <<<"$packages"
    choice=${alternatives[0]}
    for package in "${alternatives[@]}"; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            choice=$package
            break
        fi
    done
    choices+=("$choice")
done
if ! run apt-get install -y --no-install-recommends "${choices[@]}"; then
    cat "$log" >&2
    echo "packages.sh: could not install ${choices[*]}" >&2
    exit 1
fi
