#!/bin/bash
# bench-exec.sh BINARY: what a launch costs, compared with a C program that makes the same system calls, and with tools
# that only change the user. Runs all commands in shuffled order, ROUNDS times (300), and compares medians. Exit code 1
# if a bar fails.
set -euo pipefail
binary=$1
rounds=${ROUNDS:-300}
largest=${LARGEST_SIZE:-800000}
user=${BENCH_USER:-nobody}
folder=$(dirname "$0")
PATH=$PATH:/usr/sbin:/sbin

if [ "$(id -u)" != 0 ]; then
    echo 'bench-exec: run it as root, because only root can become another user' >&2
    exit 1
fi
compiler=$(command -v cc || command -v gcc || command -v clang) || {
    echo 'bench-exec: no C compiler' >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$compiler" -O2 -o "$work/launch" "$folder/launch.c"
"$compiler" -O2 -o "$work/interleave" "$folder/interleave.c" -lm
cp "$binary" "$work/reuseport-exec"
true=$(type -P true)

# Finds a free port; all launches share it.
port=
for candidate in $(seq 28000 28100); do
    if "$work/reuseport-exec" --socket "http:127.0.0.1:$candidate" -- "$true" 2>"$work/error"; then
        port=$candidate
        break
    fi
done
if [ -z "$port" ]; then
    cat "$work/error" >&2
    exit 1
fi

ids=$(id -u "$user"):$(id -g "$user")
commands=(
    nothing "$true" :::
    C "$work/launch" "$port" "$user" "$true" :::
    ours "$work/reuseport-exec" --socket "http:127.0.0.1:$port" --user "$user" -- "$true"
)
add() {
    local name=$1 tool
    shift
    if tool=$(command -v "$1"); then
        commands+=(::: "$name" "$tool" "${@:2}" "$true")
    else
        echo "bench-exec: $1 is not installed" >&2
    fi
}
add chpst chpst -u "$user"
add setpriv setpriv --reuid "${ids%:*}" --regid "${ids#*:}" --init-groups
add s6-setuidgid s6-setuidgid "$user"

"$work/interleave" "$rounds" "${commands[@]}" >"$work/times"

size=$(stat -c %s "$binary")
allowed='^(linux-vdso|libc\.so|libm\.so|/lib.*/ld-linux|ld-linux)'
foreign=$(ldd "$binary" | awk '{print $1}' | grep -vE "$allowed" || true)

awk -F '\t' -v rounds="$rounds" -v size="$size" -v largest="$largest" -v foreign="${foreign//$'\n'/ }" '
    function judge(name, passed, detail) {
        printf "%s  %-44s %s\n", passed ? "pass" : "FAIL", name, detail
        if (!passed) failed = 1
    }
    function faster(other) {
        if (other in median)
            judge("ours is quicker than " other, median["ours"] < median[other],
                sprintf("%.0f < %.0f us", median["ours"], median[other]))
        else
            judge("ours is quicker than " other, 0, "it is not installed")
    }
    BEGIN { nothing = -1 }
    { names[NR] = $1; median[$1] = $2; mean[$1] = $3; least[$1] = $4; deviation[$1] = $5 }
    END {
        base = median["nothing"]
        printf "%d interleaved runs each, microseconds\n\n", rounds
        printf "%-14s %9s %9s %9s %9s %14s\n", "", "median", "mean", "minimum", "std dev", "over nothing"
        for (i = 1; i <= NR; i++) {
            n = names[i]
            printf "%-14s %9.1f %9.1f %9.1f %9.1f %14.1f\n", n, median[n], mean[n], least[n], deviation[n], \
                median[n] - base
        }
        print ""
        ratio = (median["ours"] - base) / (median["C"] - base)
        judge("time over nothing at most 1.25 x the C program", ratio <= 1.25, sprintf("%.2f", ratio))
        faster("setpriv")
        faster("s6-setuidgid")
        judge("binary at most " largest " bytes", size <= largest, size)
        judge("needs nothing but libc, libm and the loader", foreign == "", foreign)
        exit failed
    }' "$work/times"
